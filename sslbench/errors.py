"""Every error a user can meet. Each message is one line: what was given, what is allowed, where."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""join letters in many scripts; they show nothing by themselves"""
LONGEST = 100  # characters of what was given that a message repeats


class SslbenchError(Exception):
    """A situation the user can understand without a traceback. ``messages`` holds one line per mistake: newlines in
    what is quoted are shown as ``\\n``."""

    exit_code = 2

    def __init__(self, *messages: str) -> None:
        self.messages = tuple(message.replace("\n", "\\n") for message in messages)
        super().__init__("\n".join(self.messages))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback."""
        return [f"{type(self).__name__}: {message}" for message in self.messages]


class UserError(SslbenchError):
    """What the user wants cannot be done: an unknown name, a wrong value, a folder without images."""


class PluginError(SslbenchError):
    """A plugin that this run needs is broken, or two distributions own one name."""


class StoreLocked(SslbenchError):
    """Another process writes to the same results folder."""


class StoreError(SslbenchError):
    """Results could not be stored; they are printed instead."""

    exit_code = 3


class MergeConflict(SslbenchError):
    """Folders to merge have finished records of one cell that do not agree."""

    exit_code = 1


class OutputError(SslbenchError):
    """The result could not be written to stdout; what was stored is kept."""

    exit_code = 3


class OutputClosed(OutputError):
    """Who read the result has gone (``| head``). Nothing is wrong and nothing is said."""

    exit_code = 141


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
    return shortened(text)


def shortened(text: str) -> str:
    """The text, or its two ends where it has more than a hundred characters."""
    return text if len(text) <= LONGEST else f"{text[:60]}...{text[-20:]} ({len(text):,} characters)"


def text_of(error: BaseException) -> str:
    """Its text, also of an error of others whose text cannot be made."""
    try:
        return str(error)
    except Exception as inner:
        return f"an error without a text: its __str__ raised {type(inner).__name__}"


def did_you_mean(name: str, allowed: list[str]) -> str:
    """A hint ``; did you mean 'x'?``, or nothing where no allowed word is similar; leading hyphens do not count."""
    import difflib

    if len(name) > LONGEST:
        return ""
    words = {word.lstrip("-") or word: word for word in allowed}
    bare = name.lstrip("-")
    matches = [word for word in words if word.casefold() == bare.casefold()]
    matches = matches or difflib.get_close_matches(bare, words, n=1, cutoff=0.5)
    return f"; did you mean {words[matches[0]]!r}?" if matches else ""


def printable(text: str) -> str:
    """The text of others as a terminal may show it, on as many lines: control characters, bidirectional overrides and
    bytes that are no text are escaped, such as ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(character if shows(character) else escape(character) for character in text)


def shows(character: str) -> bool:
    """Whether a terminal may be given this character."""
    return character.isprintable() or character in f"\n{JOINERS}" or unicodedata.category(character) == "Zs"


def escape(character: str) -> str:
    """As Python writes it; an undecodable byte of a file's name as that byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()
