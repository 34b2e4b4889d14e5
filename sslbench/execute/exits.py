"""How processes end, in words."""

from __future__ import annotations

import signal


def how_it_ended(code: int) -> str:
    """Of an exit code as ``Popen`` has it: ``was killed (SIGKILL)``, ``ended with exit code 3``."""
    return f"was killed ({signal_name(-code)})" if code < 0 else f"ended with exit code {code}"


def signal_name(number: int) -> str:
    """Such as ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
