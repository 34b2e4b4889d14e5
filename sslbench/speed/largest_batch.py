"""The largest batch of a row that fits into memory beside nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sslbench.execute.outcome import reason_of
from sslbench.measure.batch_limit import BatchLimit, by_growth, by_trying
from sslbench.measure.memory import PeakMemory, available_bytes, release_unused, used_bytes
from sslbench.speed.synthetic_step import SyntheticStep


def largest_batch(build: Callable[[int], SyntheticStep], device: torch.device) -> BatchLimit:
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
    except Exception as error:
        return BatchLimit(None, reason_of(error))
