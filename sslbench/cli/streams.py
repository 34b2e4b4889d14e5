"""The border to the terminal: the result alone goes to stdout, everything else to stderr, and what cannot be
written is never an accident."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

from sslbench.errors import OutputClosed, OutputError, printable
from sslbench.report.screen import NARROWEST, PAGE, PLAIN_TERMINALS, Page, colours_wanted, encodable, said

MACHINE_FORMATS = ("csv", "json", "toml")
"""are read by programs: exact, and UTF-8 whatever the terminal's encoding is"""
PICTURE = "picture"
"""the format of what a terminal shows as a picture: exact, control characters and all"""
USUAL = 80
"""columns of a terminal that does not say how wide it is"""


class StandardError:
    """stderr, whose reader may go away: what nobody can read stops nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Number of characters, written or not."""
        if self.stream is not None:
            try:
                self.stream.write(text)
            except (OSError, ValueError):
                self._give_up(self.stream)
        return len(text)

    def flush(self) -> None:
        """Send what is written."""
        if self.stream is not None:
            try:
                self.stream.flush()
            except (OSError, ValueError):
                self._give_up(self.stream)

    def isatty(self) -> bool:
        """Whether a person is looking."""
        return self.stream is not None and self.stream.isatty()

    def _give_up(self, stream: TextIO) -> None:
        self.stream = None
        discard(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)


QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""whether progress and notes are left out"""
_output: ContextVar[tuple[TextIO | None] | None] = ContextVar("output", default=None)
"""stdout as the command found it"""


@contextmanager
def own_streams() -> Iterator[None]:
    """While it lasts, ``show`` writes to what is stdout now, pages are laid out for it, and stderr never fails."""
    stdout, stderr = sys.stdout, sys.stderr
    output, page, quiet = _output.set((stdout,)), PAGE.set(page_of(stdout)), QUIET.set(False)
    sys.stderr = StandardError(stderr)
    try:
        yield
    finally:
        sys.stderr = stderr
        QUIET.reset(quiet)
        PAGE.reset(page)
        _output.reset(output)


def page_of(stream: TextIO | None) -> Page:
    """What text is laid out for: the columns of COLUMNS or of the terminal; a pipe or a file gets the whole."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if is_terminal(stream) or os.environ.get("COLUMNS", "").isdigit():
        return Page(max(NARROWEST, columns_of(stream)), whole=False, encoding=encoding)
    return Page(encoding=encoding)


def columns_of(stream: TextIO | None) -> int:
    """Those of COLUMNS, else of the terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    with suppress(OSError, ValueError):
        return (os.get_terminal_size(stream.fileno()).columns if stream else 0) or USUAL
    return USUAL


def is_terminal(stream: TextIO | None) -> bool:
    """False for what is closed."""
    with suppress(ValueError):
        return stream is not None and stream.isatty()
    return False


def standard_error() -> TextIO:
    """stderr as it is now."""
    return sys.stderr


def show(text: str, format_: str = "table", lead: bool = False) -> None:
    """The result, on stdout, as one piece. ``csv``, ``json`` and ``toml`` are exact. ``lead``: a table begins with a
    sentence that is emphasised on a terminal. Raises OutputClosed where the reader has gone, OutputError where it
    cannot be written."""
    kept = _output.get()
    stream = sys.stdout if kept is None else kept[0]
    if stream is None:
        raise OutputError("the result could not be written: stdout is closed")
    try:
        if format_ != "table" and not is_terminal(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
        if format_ != PICTURE and (format_ not in MACHINE_FORMATS or is_terminal(stream)):
            text = printable(text)
        text = encodable(text, stream.encoding or "utf-8")
        stream.write((in_bold(text) if lead and format_ == "table" and has_colours(stream) else text) + "\n")
        stream.flush()
    except BrokenPipeError:
        discard(stream)
        raise OutputClosed from None
    except (OSError, ValueError) as error:
        discard(stream)
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the result could not be written to stdout: {reason}") from None


def note(text: str) -> None:
    """As ``say``, but for what ``--quiet`` leaves out."""
    if not QUIET.get():
        say(text)


def has_colours(stream: TextIO) -> bool:
    """Whether it is a terminal that shows more than plain text, or FORCE_COLOR asks for it, and NO_COLOR does not ask
    for plain text (no-color.org)."""
    wanted = colours_wanted()
    return wanted is not False and (wanted or (is_terminal(stream) and os.environ.get("TERM") not in PLAIN_TERMINALS))


def in_bold(text: str) -> str:
    """With the lines before the first one that is empty or begins with a blank in bold."""
    lines = text.split("\n")
    end = next((place for place, line in enumerate(lines) if line[:1] in ("", " ")), len(lines))
    return "\n".join([*(f"\x1b[1m{line}\x1b[0m" for line in lines[:end]), *lines[end:]])


def terminal() -> TextIO | None:
    """Where ``show`` writes to, if that is a terminal."""
    kept = _output.get()
    stream = sys.stdout if kept is None else kept[0]
    return stream if is_terminal(stream) else None


def say(text: str) -> None:
    """One line on stderr, after the program's name."""
    sys.stderr.write(said(text) + "\n")
    sys.stderr.flush()


def complain(message: str) -> None:
    """One line on stderr about what went wrong."""
    say(f"error: {message}")


def discard(stream: TextIO) -> None:
    """Let what is still in the stream's buffer go nowhere, so that the interpreter does not fail on its way out."""
    with suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


@contextmanager
def stdout_apart() -> Iterator[None]:
    """While it lasts, stdout has a descriptor of its own, which no child inherits: what compiled code and child
    processes write to descriptor 1 goes to stderr."""
    stream = sys.stdout
    try:
        stream.flush()
        number = stream.fileno()
        own = open(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115
    except (AttributeError, OSError, ValueError):  # closed, or none of this process
        yield
        return
    os.dup2(2, number)
    sys.stdout = own
    try:
        yield
    finally:
        sys.stdout = stream
        os.dup2(own.fileno(), number)
        with suppress(OSError, ValueError):
            own.close()


def open_missing_descriptors() -> None:
    """Open those of stdin, stdout and stderr that are closed, lest a file of results is opened under their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
