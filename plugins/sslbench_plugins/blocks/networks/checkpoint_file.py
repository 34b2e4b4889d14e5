"""Other people's checkpoints: read as tensors alone, and a digest of the file."""

from __future__ import annotations

import argparse
import hashlib
import pickle
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslbench import UserError, check_if_digested

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
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


def content_digest(*paths: Path) -> str:
    """A text that changes when the content of one of the files does; a file is read again only if it changed. Raises
    UserError for a file that cannot be read."""
    parts = []
    for path in paths:
        try:
            status = path.stat()
            parts.append(file_digest(path, status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return parts[0] if len(parts) == 1 else blake2b("".join(parts).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=64)
def file_digest(path: Path, size: int, changed: int) -> str:
    """Of one file; ``size`` and ``changed`` (nanoseconds) say when it has to be read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: blake2b(digest_size=8)).hexdigest()
