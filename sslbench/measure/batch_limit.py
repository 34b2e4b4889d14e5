"""The largest batch that fits into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SMALLEST = 2
"""batch norm needs two"""
MOST = 2**17
"""images that are tried at most"""
SHARE = 0.9
"""of the available memory that a batch may take"""


@dataclass(frozen=True)
class BatchLimit:
    """The largest batch, and how it was determined."""

    batch: int | None
    """None where not even the smallest fits"""
    how: str


def by_trying(fits: Callable[[int], bool], most: int = MOST) -> BatchLimit:
    """Double until it no longer fits, then halve the gap until it is an eighth of the batch: for a GPU, whose
    allocator refuses and lets go on. ``fits``: whether a step of so many images fits."""
    if not fits(SMALLEST):
        return BatchLimit(None, f"not even {SMALLEST} images fit")
    low, high = SMALLEST, 2 * SMALLEST
    while high <= most and fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return BatchLimit(low, "tried; the next larger one tried ran out of memory")


def by_growth(peak: Callable[[int], int | None], available: int | None, sizes: tuple[int, int] = (4, 12)) -> BatchLimit:
    """From the peaks of two batch sizes along a straight line to the available memory: for a CPU, where a batch that is
    too large ends the process. ``peak``: bytes of a step at a batch size, of what it adds; ``available``: bytes.
    """
    small, large = sizes
    low, high = peak(small), peak(large)
    if available is None or low is None or high is None:
        return BatchLimit(None, "this system does not say how much memory is in use")
    per_image = (high - low) / (large - small)
    if per_image <= 0:
        return BatchLimit(None, f"the peaks of {small} and {large} images do not differ")
    batch = int((SHARE * available - (low - small * per_image)) // per_image)
    how = f"along a line through the peaks of {small} and {large} images to {SHARE:.0%} of the available memory"
    return BatchLimit(batch if batch >= SMALLEST else None, how)
