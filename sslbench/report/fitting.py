"""Tables of all columns, in the roomiest way that fits the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from sslbench.report.screen import PAGE
from sslbench.report.text import Column, fits, fitted, terminal
from sslbench.report.view import STYLES, Style

CUT, TIGHT = 2, 5
"""places in ``STYLES`` of the style of a table that is cut into several, and of one that lacks columns"""


def fitting(columns: Callable[[Style], list[Column]]) -> str:
    """The roomiest table that fits; where none does, one without its least important columns, or, on a page that keeps
    the whole, several with the same rows, one below the other."""
    for style in STYLES:
        text = terminal(columns(style), style.gap, style.broken_headers)
        if fits(text):
            return text
    if not PAGE.get().whole:
        return fitted(columns(STYLES[TIGHT]), "--format csv", roomy=False)
    roomy = STYLES[CUT]
    groups = cut(columns(roomy), roomy)
    return "\n\n".join(terminal(group, roomy.gap, roomy.broken_headers) for group in groups)


def cut(columns: Sequence[Column], style: Style) -> list[list[Column]]:
    """The columns in groups that fit, each with those on the left that say what a row is about."""
    words = list(takewhile(lambda column: not column.number, columns))
    groups: list[list[Column]] = [list(words)]
    for column in columns[len(words) :]:
        wider = [*groups[-1], column]
        if len(groups[-1]) > len(words) and not fits(terminal(wider, style.gap, style.broken_headers)):
            wider = [*words, column]
            groups.append(wider)
        groups[-1] = wider
    return groups
