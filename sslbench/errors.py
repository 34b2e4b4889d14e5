"""Every error a user can meet. Each message is one line: what was given, what is allowed, where."""

from __future__ import annotations

LONGEST = 100  # characters of what was given that a message repeats


class SslbenchError(Exception):
    """A situation the user can understand without a traceback. ``messages`` holds one line per mistake."""

    exit_code = 2

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class UserError(SslbenchError):
    """What the user wants cannot be done: an unknown name, a wrong value, a folder without images."""


class PluginError(SslbenchError):
    """A plugin that this run needs is broken, or two distributions own one name."""


class StoreLocked(SslbenchError):
    """Another process writes to the same results folder."""


class StoreError(SslbenchError):
    """Results could not be stored; they are printed instead."""

    exit_code = 3


class Diverged(SslbenchError):
    """The training loss was not a finite number."""

    exit_code = 1


class TimeLimit(SslbenchError):
    """A pretraining took longer than the suite's ``time_limit`` (seconds)."""

    exit_code = 1


class TimingError(SslbenchError):
    """A measurement of speed that contradicts itself: clocks that disagree, a step that did no work."""

    exit_code = 1


def quoted(value: object) -> str:
    """What was given, on one line of at most a hundred characters or so."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4,300 digits
        return f"a value of type {type(value).__name__} that is too large to be shown"
    return text if len(text) <= LONGEST else f"{text[:60]}...{text[-20:]} ({len(text):,} characters)"


def did_you_mean(name: str, allowed: list[str]) -> str:
    """A hint ``; did you mean 'x'?``, or nothing where no allowed word is similar."""
    import difflib

    if len(name) > LONGEST:
        return ""
    matches = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
