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

from sslbench import UserError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
SECOND_CHOICE = ("student", "encoder_k", "momentum", "target", "optimizer")
"""words in the prefix of weights that are not the ones to judge, where another prefix fits as well: of DINO the
teacher is judged, of MoCo the query encoder, of BYOL the online network"""
NAMED = 3
"""names that a message gives as examples"""


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors or torch file on the CPU, nested names joined by dots.

    No code of the file is run. Raises UserError for a file that cannot be read so.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # Training scripts leave their arguments beside the weights; a Namespace holds values and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        code = code_in(path) if isinstance(error, pickle.UnpicklingError) else []
        if code:
            raise UserError(
                f"{path} holds more than weights ({', '.join(code[:NAMED])}), and reading that could run code;"
                " save its state dict alone, best as safetensors"
            ) from None
        what = "" if isinstance(error, pickle.UnpicklingError) else f": {str(error).partition(chr(10))[0]}"
        raise UserError(f"{path} cannot be read as weights{what}; allowed: {' '.join(SUFFIXES)}") from None
    return dict(flattened(content))


def code_in(path: Path) -> list[str]:
    """What else than tensors and plain values a torch file asks for, by name."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no file of torch's
        return []


def flattened(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from flattened(value, f"{name}.{key}" if name else str(key))


def fit(net: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load the tensors into ``net``, all of it. Prefixes such as ``module.``, ``backbone.`` or ``teacher.`` are found
    by what fits, timm's own conversions of other layouts are tried, and what the network does not have is left out.

    Raises UserError, with the number of tensors that fit, where one of the network's is missing or of another shape.
    """
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    candidates = list(layouts(net, tensors, wanted))
    best = max(candidates, key=lambda found: fitting(found, wanted))
    if fitting(best, wanted) < len(wanted):
        raise UserError(misfit(best, wanted, where))
    net.load_state_dict({name: best[name] for name in net.state_dict() if name in best}, strict=False)


def layouts(
    net: nn.Module, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> Iterator[Mapping[str, Tensor]]:
    """The tensors by names that may be the network's."""
    prefix = prefix_of(tensors, wanted)
    plain = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    yield plain
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    for given in (plain, dict(tensors)) if convert else ():
        try:
            yield convert(dict(given), net)
        except Exception:  # whatever a conversion trips over, the file has another layout
            continue


def prefix_of(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What stands before the network's names in most of the tensors' names."""
    counts: Counter[str] = Counter()
    for name in tensors:
        starts = [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]
        counts.update(name[:start] for start in starts if name[start:] in wanted)
    return max(counts, key=lambda p: (counts[p], not any(word in p for word in SECOND_CHOICE)), default="")


def fitting(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> int:
    return sum(name in found and found[name].shape == value.shape for name, value in wanted.items())


def misfit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> str:
    missing = [name for name in wanted if name not in found]
    wrong = [name for name in wanted if name in found and found[name].shape != wanted[name].shape]
    parts = [f"{where}: {fitting(found, wanted)} of the network's {len(wanted)} tensors are in the file"]
    if missing:
        parts.append(f"missing: {', '.join(missing[:NAMED])}{', ...' if len(missing) > NAMED else ''}")
    if wrong:
        shapes = [f"{name} {list(found[name].shape)} instead of {list(wanted[name].shape)}" for name in wrong[:NAMED]]
        parts.append(f"of another shape: {', '.join(shapes)}")
    parts.append(f"the file has {', '.join(list(found)[:NAMED]) or 'no tensor'}{', ...' if len(found) > NAMED else ''}")
    return "; ".join(parts)
