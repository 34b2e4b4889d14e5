"""Processes that end when the one that they work for does, however it ends."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from sslbench import end_with_parent

DESCRIPTORS = 256
"""more than a process has open that has just been started"""


def end_with(parent: int) -> None:
    """From now on this process is ended when its parent, of this id, ends, and on Linux what it started as well. Call
    it before any thread is started."""
    end_with_parent(parent)
    if sys.platform != "linux":
        return
    with suppress(OSError):  # where the system has no such descriptors, children are on their own
        guard(os.pidfd_open(os.getpid()))


def guard(this: int) -> None:
    """Have another process end this group when this process, of this descriptor, ends. It is not a child of this one,
    lest who waits for all children waits for ever."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.dup2(this, 0)
            os.closerange(1, DESCRIPTORS)
            select.select([0], [], [])
            end_group()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(this)


def end_group() -> NoReturn:
    """End this process and all that it started."""
    with suppress(AttributeError, OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
