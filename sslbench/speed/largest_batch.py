"""The largest batch of a row that fits into memory beside nothing else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sslbench.execute.outcome import reason_of
from sslbench.measure.device_errors import out_of_memory, too_large
from sslbench.measure.memory import PeakMemory, available_bytes, release_unused, used_bytes
from sslbench.speed.facts import LargestBatch
from sslbench.speed.steps import SyntheticStep

SMALLEST = 2
"""batch norm needs two"""
MOST = 2**17
"""images that are tried at most"""
SHARE = 0.9
"""of the available memory that a batch may take"""
RAN_OUT = "ran out of memory"


def largest_batch(
    build: Callable[[int], SyntheticStep], device: torch.device, seconds: float | None = None
) -> LargestBatch:
    """Tried on a GPU, extrapolated on a CPU. ``build``: the step for a batch size; ``seconds``: that trying may take.
    What goes wrong is its ``how``."""

    def peak(batch_size: int) -> int | None:
        gc.collect()
        release_unused(device)
        before, memory = used_bytes(device), PeakMemory(device)
        arm = build(batch_size).arm()
        for _ in range(arm.unlike + 1):
            arm.step()
        after = memory.bytes()
        return None if before is None or after is None else after - before

    def refusal(batch_size: int) -> str | None:
        try:
            peak(batch_size)
            torch.cuda.synchronize(device)
            return None
        except (RuntimeError, MemoryError) as error:
            return refusal_of(error)

    try:
        if device.type == "cuda":
            return by_trying(refusal, Deadline(seconds))
        return by_growth(peak, available_bytes(device))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return LargestBatch(None, reason_of(error))


def refusal_of(error: RuntimeError | MemoryError) -> str:
    """Why a batch did not fit. Raises the error itself where that is no question of size."""
    if out_of_memory(error):
        return RAN_OUT
    if too_large(error):
        return f"has more elements than a kernel can count ({reason_of(error)})"
    raise error


@dataclass
class Deadline:
    """What trying may take; ``seconds`` None: as long as it takes."""

    seconds: float | None = None
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._began = self.now()
        self._per_image = 0.0

    def refuses(self, batch_size: int) -> bool:
        """Whether there is no time left for a batch, by what the last one took."""
        if self.seconds is None:
            return False
        return self.now() - self._began + self._per_image * batch_size > self.seconds

    def took(self, batch_size: int, began: float) -> None:
        """A batch that was begun then has been tried."""
        self._per_image = (self.now() - began) / batch_size


def by_trying(refusal: Callable[[int], str | None], deadline: Deadline | None = None, most: int = MOST) -> LargestBatch:
    """Double until it no longer fits, then halve the gap until it is an eighth of the batch: for a GPU, whose
    allocator refuses and lets go on. ``refusal``: why a step of so many images does not fit, None where it does; what
    it raises ends the search with what was found."""
    deadline = deadline or Deadline()
    low, high, why = 0, 0, ""
    size = SMALLEST
    while True:
        if low and deadline.refuses(size):
            return LargestBatch(low, f"tried; no time for {size} images ({deadline.seconds:.0f} s)", at_least=True)
        began = deadline.now()
        try:
            refused = refusal(size)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if not low:
                raise
            return LargestBatch(low, f"tried; {size} images: {reason_of(error)}", at_least=True)
        if refused is None:
            low = size
            deadline.took(size, began)
        else:
            high, why = size, refused
        if not low:
            return LargestBatch(None, f"not even {SMALLEST} images fit: a batch of them {why}")
        if low == most:
            return LargestBatch(low, "tried; all fitted, and no larger one is tried", at_least=True)
        if not high:
            size = min(2 * low, most)
        elif high - low > max(1, low // 8):
            size = (low + high) // 2
        else:
            return LargestBatch(low, f"tried; the next larger one tried, {high}, {why}")


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
