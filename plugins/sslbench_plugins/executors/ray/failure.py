"""What Ray raises where a task did not come to its end, in the words of a record."""

from __future__ import annotations

import re

from sslbench import Failure

LINES = 20
"""of what Ray says that are kept as detail"""
WORDS = {
    "OutOfMemoryError": "Ray ended the worker, since its node ran out of memory",
    "NodeDiedError": "the node died, was preempted, or lost its connection",
    "WorkerCrashedError": "the Ray worker died",
    "LocalRayletDiedError": "Ray ended on this machine",
    "ObjectLostError": "what the worker had sent was lost with its node",
    "OutOfDiskError": "the disk of Ray's objects is full",
    "RuntimeEnvSetupError": "Ray could not set up the worker",
    "TaskUnschedulableError": "no node can be given the task",
}
CANCELLED = Failure("cancelled", "cancelled")


def failure_of(error: BaseException) -> Failure:
    """Of whatever came out of a task."""
    names = [cls.__name__ for cls in type(error).__mro__]
    detail = "\n".join(plain(str(error)).splitlines()[-LINES:])
    if "TaskCancelledError" in names:
        return CANCELLED
    words = next((WORDS[name] for name in names if name in WORDS), "")
    if not words:
        cause = getattr(error, "cause", None) or error
        lines = plain(str(cause)).strip().splitlines()
        words = f"the task failed: {type(cause).__name__}" + (f": {lines[-1].strip()}" if lines else "")
    return Failure(f"lost: {words}", detail=detail)


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
