"""Processes that end when the one that they work for does, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

SET_DEATH_SIGNAL = 1
"""of Linux's prctl: the signal that a process gets when its parent ends"""
DESCRIPTORS = 256
"""more than a process has open that has just been started"""


def end_with(parent: int) -> None:
    """From now on this process is killed when its parent, of this id, ends, and with it what it started. Elsewhere than
    on Linux nothing is done. Call it before any thread is started."""
    if sys.platform != "linux":
        return
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # which ended before
        os._exit(1)
    guarded = os.getpid()
    if os.fork() == 0:
        guard(guarded)


def die_with_parent(number: signal.Signals) -> None:
    """Have the system send this signal when the parent of this process ends."""
    ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, number)


def guard(guarded: int) -> NoReturn:
    """In a child: wait for the end of ``guarded``, then end its process group, which has this process in it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    os.closerange(0, DESCRIPTORS)
    die_with_parent(signal.SIGTERM)
    while os.getppid() == guarded:
        signal.sigwait([signal.SIGTERM])
    end_group()


def end_group() -> NoReturn:
    """End this process and all that it started."""
    with suppress(AttributeError, OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
