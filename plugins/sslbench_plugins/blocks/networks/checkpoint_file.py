"""Other people's checkpoints: read as tensors alone, and fitted to a network whatever they are wrapped in."""

from __future__ import annotations

import argparse
import pickle
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslbench import UserError, check_if_digested

Tensors = Mapping[str, Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
SECOND_CHOICE = ("student", "encoder_k", "momentum", "target", "optimizer")
"""words in the prefix of weights that are not the ones to evaluate, where another prefix fits as well: DINO's teacher,
MoCo's query encoder and BYOL's online network are evaluated"""
EXAMPLES = 3
"""names that a message gives as examples"""


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors or torch file on the CPU, nested names joined by dots. No code of the file is run.
    Raises UserError for a file that cannot be read so."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            check_if_digested(path)
            return load_file(path)
        # Training scripts leave their arguments beside the weights; a Namespace holds values and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:
        raise UserError(why_unreadable(path, error)) from None
    return dict(flattened(content))


def why_unreadable(path: Path, error: Exception) -> str:
    """One line on a file that could not be read as weights."""
    unpickling = isinstance(error, pickle.UnpicklingError)
    code = code_in(path) if unpickling else []
    if code:
        return (
            f"{path} holds more than weights ({', '.join(code[:EXAMPLES])}), and reading that could run code;"
            " save its state dict alone, best as safetensors"
        )
    detail = "" if unpickling else f": {str(error).partition(chr(10))[0]}"
    return f"{path} cannot be read as weights{detail}; allowed: {' '.join(SUFFIXES)}"


def code_in(path: Path) -> list[str]:
    """Names of the classes and functions that a torch file uses beside tensors and plain values."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not a file of torch's
        return []


def flattened(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of nested mappings, each with its keys joined by dots."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from flattened(value, f"{name}.{key}" if name else str(key))


def fit(net: nn.Module, tensors: Tensors, where: str) -> None:
    """Load the tensors into ``net``, all of it. Prefixes such as ``module.``, ``backbone.`` or ``teacher.`` are found
    by what fits, timm's own conversions of other layouts are tried, and what the network does not have is left out.
    Raises UserError, with the number of tensors that fit, where one of the network's is missing or of another shape."""
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    best = max(layouts(net, tensors, wanted), key=lambda layout: fitting(layout, wanted))
    if fitting(best, wanted) < len(wanted):
        raise UserError(misfit(best, wanted, where))
    net.load_state_dict({name: best[name] for name in net.state_dict() if name in best}, strict=False)


def layouts(net: nn.Module, tensors: Tensors, wanted: Tensors) -> Iterator[Tensors]:
    """The tensors by names that may be the network's."""
    prefix = prefix_of(tensors, wanted)
    plain = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    yield plain
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return
    for layout in (plain, dict(tensors)):
        try:
            yield convert(dict(layout), net)
        except Exception:  # whatever a conversion trips over, the file has another layout
            continue


def prefix_of(tensors: Tensors, wanted: Tensors) -> str:
    """What stands before the network's names in most of the tensors' names."""
    counts: Counter[str] = Counter()
    for name in tensors:
        starts = [0, *(index + 1 for index, letter in enumerate(name) if letter == ".")]
        counts.update(name[:start] for start in starts if name[start:] in wanted)
    return max(counts, key=lambda p: (counts[p], not any(word in p for word in SECOND_CHOICE)), default="")


def fitting(tensors: Tensors, wanted: Tensors) -> int:
    """How many of the wanted tensors there are, in the wanted shape."""
    return sum(name in tensors and tensors[name].shape == value.shape for name, value in wanted.items())


def misfit(tensors: Tensors, wanted: Tensors, where: str) -> str:
    """One line on tensors that do not fit a network, with examples."""
    missing = [name for name in wanted if name not in tensors]
    wrong = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    parts = [f"{where}: {fitting(tensors, wanted)} of the network's {len(wanted)} tensors are in the file"]
    if missing:
        parts.append(f"missing: {examples(missing)}")
    if wrong:
        shapes = [f"{name} {list(tensors[name].shape)} instead of {list(wanted[name].shape)}" for name in wrong]
        parts.append(f"of another shape: {', '.join(shapes[:EXAMPLES])}")
    parts.append(f"the file has {examples(list(tensors)) or 'no tensor'}")
    return "; ".join(parts)


def examples(names: list[str]) -> str:
    """The first names, with dots where there are more."""
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
