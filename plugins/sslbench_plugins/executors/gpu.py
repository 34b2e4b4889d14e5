"""Whether a GPU can be given the next piece of work by the same process."""

from __future__ import annotations

import gc
from typing import Any

from sslbench import Event, RecordMade, Work, is_gpu_fault

WORDS = "the GPU reports a fault"
LEAK = 0.02
"""share of a GPU's memory that may stay allocated between two pieces of work"""


def fault_after(event: Event, work: Work, cuda: Any) -> str | None:
    """The fault that a cell of this work has failed of, which every other would fail of as well in this process; None
    for any other event. ``cuda``: as ``torch.cuda``."""
    if not isinstance(event, RecordMade) or event.record.status != "failed":
        return None
    reason = event.record.reason or ""
    # That of a work on several devices is the reason of another process.
    return f"{WORDS}: {reason}" if work.training.devices == 1 and is_gpu_fault(reason) else fault(cuda)


def fault(cuda: Any) -> str | None:
    """The error that every call of CUDA ends in from now on; None where there is none. ``cuda``: as ``torch.cuda``."""
    try:
        for index in used(cuda):
            cuda.synchronize(index)
    except RuntimeError as error:
        return f"{WORDS}: {str(error).partition(chr(10))[0]}"
    return None


def leak(cuda: Any) -> str | None:
    """What is still allocated when nothing should be; None where that is little."""
    if not used(cuda):
        return None
    gc.collect()
    cuda.empty_cache()
    for index in used(cuda):
        kept = cuda.memory_allocated(index)
        if kept > LEAK * cuda.get_device_properties(index).total_memory:
            return f"{kept / 2**30:.1f} GiB of a GPU's memory were not given back"
    return None


def used(cuda: Any) -> range:
    """The GPUs that this process may have used."""
    return range(cuda.device_count() if cuda.is_initialized() else 0)
