"""How processes end: with the one that they work for, and in words."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SET_DEATH_SIGNAL = 1
"""of Linux's prctl: the signal that a process gets when its parent ends"""
OFTEN = 0.5
"""seconds between two looks at the parent, where the system tells nobody of its end"""


def end_with_parent(parent: int) -> None:
    """From now on this process is ended when its parent, of this id, ends, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # which ended before
        os._exit(1)


def watch(parent: int) -> None:
    """End this process when the parent has ended."""
    while os.getppid() == parent:
        time.sleep(OFTEN)
    os._exit(1)


def how_it_ended(code: int) -> str:
    """Of an exit code as ``Popen`` has it: ``was killed (SIGKILL)``, ``ended with exit code 3``."""
    return f"was killed ({signal_name(-code)})" if code < 0 else f"ended with exit code {code}"


def signal_name(number: int) -> str:
    """Such as ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
