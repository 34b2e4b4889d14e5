"""What went wrong, in the words of a record."""

from __future__ import annotations

import torch

from sslbench.errors import Diverged, SslbenchError, TimeLimit
from sslbench.hooks.registry import one_line
from sslbench.store.record import Status


def status_of(error: Exception) -> Status:
    """The record's word for what went wrong."""
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
    """Give back what a failed training held, so that the next one can have it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
