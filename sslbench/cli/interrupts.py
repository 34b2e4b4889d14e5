"""Ctrl-C and the signals that end a process: what is finished is kept, and the exit code says which it was."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""exit code after Ctrl-C"""
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
PATIENCE = 3
"""signals after which the process ends at once"""
_first: signal.Signals | None = None


def received() -> signal.Signals | None:
    """The first signal that came while an ``Interrupts`` was open, the last one if there were several."""
    return _first


def interrupted() -> str:
    """``interrupted``, and by which signal where it was not Ctrl-C."""
    return "interrupted" if _first in (None, signal.SIGINT) else f"interrupted by {_first.name}"


class Interrupts:
    """While it is open, each of the signals raises KeyboardInterrupt as Ctrl-C does; the third ends the process at
    once. What is ignored (nohup, a shell's background jobs) stays ignored."""

    def __enter__(self) -> Interrupts:
        global _first
        _first = None
        self._count, self._process = 0, os.getpid()
        self._before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._handle)
            for number in ENDING
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
        }
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            # Nothing is left to interrupt but the interpreter on its way out, which would die with a traceback.
            signal.signal(number, signal.SIG_IGN if self._count else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        global _first
        if os.getpid() != self._process:  # a child that was forked
            os._exit(128 + number)
        self._count += 1
        _first = _first or signal.Signals(number)
        if self._count >= PATIENCE:
            os.write(2, b"sslbench: interrupted again: ended at once; what was stored before is kept\n")
            os._exit(128 + number)
        raise KeyboardInterrupt
