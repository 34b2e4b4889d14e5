"""What a compiler is to keep in memory."""

from __future__ import annotations

from torch import Tensor


def stored(values: Tensor) -> Tensor:
    """The same tensor. A compiler writes it to memory, since its strides are asked for, instead of computing it anew
    wherever it is used: for small tables that every pixel reads, and for neighbours of a pixel."""
    return values.as_strided(values.shape, values.stride())
