"""Some of the images of a split, the same for every method and spread over the whole of it."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly_spaced(count: int, most: int) -> Tensor:
    """int64 ``[min(count, most)]``, ascending: evenly spaced indices below ``count``, which no order of classes
    biases."""
    taken = min(count, most)
    return (torch.arange(taken) * count + count // 2) // max(taken, 1)
