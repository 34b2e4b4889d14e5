"""Random numbers that depend on nothing but a key and a position: the same in any process, order and batch."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

GAMMA = np.uint64(0x9E3779B97F4A7C15)
"""odd step between two states, 2**64 divided by the golden ratio"""


class Counter:
    """A table of uniform numbers, row by row, of which any part can be computed alone. The number at ``(row, column)``
    is SplitMix64's output for the state ``key + (row * columns + column) * GAMMA`` (Steele, Lea, Flood: Fast Splittable
    Pseudorandom Number Generators, OOPSLA 2014, figure 16); ``name`` makes the key."""

    def __init__(self, name: str, columns: int) -> None:
        self._key = np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))
        self._columns = columns

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """int64 ``[B]`` -> float64 ``[B, columns]``, uniform in 0..1, 1 excluded."""
        first: NDArray[np.uint64] = indices.astype(np.uint64)[:, None] * np.uint64(self._columns)
        positions: NDArray[np.uint64] = first + np.arange(self._columns, dtype=np.uint64)[None]
        state: NDArray[np.uint64] = (positions + np.uint64(1)) * GAMMA + self._key
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
        # The upper 53 bits: as many as a float64 holds exactly.
        return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
