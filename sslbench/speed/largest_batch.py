"""The largest batch of a row that fits into memory beside nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sslbench.execute.outcome import reason_of
from sslbench.measure.memory import PeakMemory, available_bytes, release_unused, used_bytes
from sslbench.speed.facts import LargestBatch
from sslbench.speed.steps import SyntheticStep

SMALLEST = 2
"""batch norm needs two"""
MOST = 2**17
"""images that are tried at most"""
SHARE = 0.9
"""of the available memory that a batch may take"""


def largest_batch(build: Callable[[int], SyntheticStep], device: torch.device) -> LargestBatch:
    """Tried on a GPU, extrapolated on a CPU. ``build``: the step for a batch size. What goes wrong is its ``how``."""

    def peak(batch_size: int) -> int | None:
        release_unused(device)
        before, memory = used_bytes(device), PeakMemory(device)
        step = build(batch_size).arm().step
        step()
        step()
        after = memory.bytes()
        return None if before is None or after is None else after - before

    def fits(batch_size: int) -> bool:
        try:
            peak(batch_size)
            torch.cuda.synchronize(device)
            return True
        except torch.OutOfMemoryError:
            return False
        finally:
            release_unused(device)

    try:
        return by_trying(fits) if device.type == "cuda" else by_growth(peak, available_bytes(device))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return LargestBatch(None, reason_of(error))


def by_trying(fits: Callable[[int], bool], most: int = MOST) -> LargestBatch:
    """Double until it no longer fits, then halve the gap until it is an eighth of the batch: for a GPU, whose
    allocator refuses and lets go on. ``fits``: whether a step of so many images fits."""
    if not fits(SMALLEST):
        return LargestBatch(None, f"not even {SMALLEST} images fit")
    low, high = SMALLEST, 2 * SMALLEST
    while high <= most and fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return LargestBatch(low, "tried; the next larger one tried ran out of memory")


def by_growth(peak: Callable[[int], int | None], available: int | None) -> LargestBatch:
    """From the peaks of 4 and 12 images along a straight line to the available memory: for a CPU, where a batch that
    is too large ends the process. ``peak``: bytes of a step at a batch size, of what it adds; ``available``: bytes."""
    small, large = 4, 12
    low, high = peak(small), peak(large)
    if available is None or low is None or high is None:
        return LargestBatch(None, "this system does not say how much memory is in use")
    per_image = (high - low) / (large - small)
    if per_image <= 0:
        return LargestBatch(None, f"the peaks of {small} and {large} images do not differ")
    batch = int((SHARE * available - (low - small * per_image)) // per_image)
    how = f"along a line through the peaks of {small} and {large} images to {SHARE:.0%} of the available memory"
    return LargestBatch(batch if batch >= SMALLEST else None, how)
