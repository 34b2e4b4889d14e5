"""What colours mean: squares with words, below a picture."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.draw.canvas import Canvas
from sslbench.draw.colours import PAPER, Colour
from sslbench.draw.words import SIZE, drawable, shortened_to, width_of

LINE = SIZE + 5
"""pixels of a line of words"""
SQUARE = 14
SPACE = 14
"""pixels between entries"""
EDGE = 8

Placed = tuple[Colour, str, int, int]
"""colour, word, x of its square, number of its line"""
MOST_LINES = 60


def placed_legend(entries: Sequence[tuple[Colour, str]], width: int) -> list[Placed]:
    """Entries from left to right, on as many lines as ``width`` pixels make necessary; of more than ``MOST_LINES`` the
    last one says, without a colour, how many are left out."""
    placed: list[Placed] = []
    x, line = EDGE, 0
    for number, (colour, word) in enumerate(entries):
        short = shortened_to(drawable(word), max(1, width - 2 * EDGE - SQUARE - 5))
        needed = SQUARE + 5 + width_of(short)
        if x > EDGE and x + needed > width - EDGE:
            x, line = EDGE, line + 1
        if line == MOST_LINES - 1 and number < len(entries) - 1:
            return [*placed, (PAPER, f"and {len(entries) - number:,} more", x, line)]
        placed.append((colour, short, x, line))
        x += needed + SPACE
    return placed


def draw_legend(canvas: Canvas, placed: Sequence[Placed], top: int) -> None:
    """Draw it from ``top`` pixels on."""
    for colour, word, x, line in placed:
        y = top + line * LINE
        canvas.pen.rectangle((x, y, x + SQUARE - 1, y + SQUARE - 1), fill=colour)
        canvas.text(word, x + SQUARE + 5, y + SQUARE // 2, "lm")
