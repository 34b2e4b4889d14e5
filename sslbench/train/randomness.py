"""Random streams that depend on nothing but the seed, the purpose and the step.

Each step's generators are seeded afresh, so a resumed run draws what an uninterrupted one would, with no
generator state to keep.
"""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, purpose: str, step: int = 0) -> int:
    """A 63-bit seed for one purpose (``views``, ``masks``, ``order``...) at one step or epoch."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Stream:
    """One generator, re-seeded for each step."""

    def __init__(self, seed: int, purpose: str, device: torch.device | str = "cpu") -> None:
        self._seed = seed
        self._purpose = purpose
        self._generator = torch.Generator(device)

    def at(self, step: int) -> torch.Generator:
        """The generator, standing where step number ``step`` begins."""
        return self._generator.manual_seed(stream_seed(self._seed, self._purpose, step))


def seed_everything(seed: int, purpose: str, step: int = 0) -> None:
    """Seed torch's global generators (dropout, drop path, weight initialisation), CPU and CUDA.

    A GPU that nothing has used yet is left alone. ``torch.manual_seed`` would note for it where the call came from,
    three stack traces for each step.
    """
    value = stream_seed(seed, purpose, step)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(value)
