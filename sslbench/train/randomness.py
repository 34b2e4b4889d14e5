"""Random streams of seed, purpose and step alone: a resumed run draws what an uninterrupted one would."""

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
        self._seed, self._purpose = seed, purpose
        self.asked = False
        """whether somebody has taken the seed of the generator since ``at``, by which the host may decide"""
        stream = self

        class Generator(torch.Generator):
            def initial_seed(self) -> int:
                stream.asked = True
                return super().initial_seed()

        self._generator = Generator(device)

    @property
    def generator(self) -> torch.Generator:
        """Always the same one, wherever it stands."""
        return self._generator

    def at(self, step: int) -> torch.Generator:
        """The generator, standing where step number ``step`` begins."""
        self.asked = False
        return self._generator.manual_seed(stream_seed(self._seed, self._purpose, step))


def seed_everything(seed: int, purpose: str, step: int = 0) -> None:
    """Seed torch's global generators (dropout, drop path, weight initialisation), CPU and CUDA where it is in use."""
    value = stream_seed(seed, purpose, step)
    # torch.manual_seed would keep three stack traces a step for a GPU that nothing has used yet.
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(value)
