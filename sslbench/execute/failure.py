"""From exceptions to the status and the reason of a record."""

from __future__ import annotations

import torch

from sslbench.errors import Diverged, SslbenchError, TimeLimit
from sslbench.hooks.registry import one_line
from sslbench.store.record import Status


def status_of(error: Exception) -> Status:
    """The record's status for a cell that ended with ``error``."""
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, TimeLimit):
        return "timeout"
    # torch's CPU allocator raises a plain RuntimeError.
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error):
        return "oom"
    return "failed"


def reason_of(error: Exception) -> str:
    """One line for the table: a user's mistake in its own words, a bug with its type."""
    return "; ".join(error.messages) if isinstance(error, SslbenchError) else one_line(error)


def forget_cuda_cache() -> None:
    """Free the GPU memory of a failed training for the next one."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
