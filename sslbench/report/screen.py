"""What text is laid out for: how wide it is in columns of a terminal, which are not its characters, and what it may
show there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from sslbench.errors import printable

ONE_COLUMN_EACH = "\u0300"
"""characters below this take one column; from here on some combine with others, and some take two"""
WIDTH = 120
"""columns of text in a file"""
NARROWEST = 40
"""columns that text is never laid out below"""
PLAIN_SIGNS = {"±": "+-", "·": "|", "✓": "+", "✗": "x", "…": "...", "é": "e", "á": "a"}
"""our own signs for terminals that have no others"""


PLAIN_TERMINALS = ("dumb", "unknown")
"""have no colours, and no cursor to move"""


def colours_wanted() -> bool | None:
    """What the environment asks for: NO_COLOR and CLICOLOR=0 none, FORCE_COLOR and CLICOLOR_FORCE some, which count
    for more than CLICOLOR; None where it says nothing."""
    given = os.environ
    if given.get("NO_COLOR"):
        return False
    if any(given.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return False if given.get("CLICOLOR") == "0" else None


@dataclass(frozen=True)
class Page:
    """A terminal, or a file that text goes to."""

    width: int = WIDTH
    """columns that a line should fit"""
    whole: bool = True
    """keep every column of a table, however wide; else the least important ones are left out, and named"""
    encoding: str = "utf-8"
    reworded: Callable[[str], str] = str
    """what is said differently on it"""


FILE = Page()
PAGE: ContextVar[Page] = ContextVar("page", default=FILE)
"""what is printed now is laid out for it"""


def width_of(text: str) -> int:
    """Columns of a terminal that one line takes."""
    if max(text, default="") < ONE_COLUMN_EACH:
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def encodable(text: str, encoding: str) -> str:
    """The text with what the encoding lacks escaped, such as ``\\u732b``; our own signs have plain forms."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(in_encoding(character, encoding) for character in text)
    return text


def in_encoding(character: str, encoding: str) -> str:
    """One character as ``encodable`` writes it."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return PLAIN_SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode()
    return character


def shown(text: str) -> str:
    """The text as it will be on the page, on as many lines: what is measured is what is printed."""
    page = PAGE.get()
    return encodable(printable(page.reworded(text)), page.encoding)


def one_line(text: str) -> str:
    """A name of others, whose own line breaks are escaped."""
    return printable(text).replace("\n", "\\n")


def said(text: str) -> str:
    """One line on stderr, after the program's name, as a terminal may show it."""
    return one_line(f"sslbench: {text}")


def padded(text: str, width: int, right: bool = False) -> str:
    """One line, filled with blanks on the right, or on the left with ``right``, to ``width`` columns."""
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def folded(text: str, width: int, first: str = "", rest: str = "", hyphens: bool = False, words: bool = False) -> str:
    """Lines of at most ``width`` columns, broken at blanks (with ``hyphens`` also after these, with ``words`` within a
    word that is longer). ``first`` and ``rest`` are put before the first and the other lines."""
    pattern = r"\S+?(?:(?<=[^\W\d]-)(?=\w*[^\W\d])|(?=\s|$))" if hyphens else r"\S+"
    lines, line, begun = [], first, False
    for blank, word in re.findall(rf"(\s*)({pattern})", shown(text)):
        blank = " " * len(blank) if begun else ""
        if begun and width_of(line + blank + word) > width:
            lines.append(line)
            line, blank = rest, ""
        line += blank + word
        begun = True
        while words and width_of(line) > width:
            start, line = cut(line, width)
            lines.append(start)
            line = rest + line
    return "\n".join([*lines, line]).rstrip()


def cut(line: str, width: int) -> tuple[str, str]:
    """The longest start of at most ``width`` columns, at least one character, and the rest."""
    end = max(1, next(end for end in range(len(line), -1, -1) if width_of(line[:end]) <= width))
    return line[:end], line[end:]
