"""A confusion matrix: how many images of each true class got which class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslbench.draw.canvas import Canvas
from sslbench.draw.colours import BLUE, GROUND, INK, PAPER, Colour
from sslbench.draw.words import drawable, shortened_to, width_of

MOST = 20
"""classes that are shown one by one"""
LONGEST = 150
"""pixels of a name"""
EDGE, AXIS = 8, 22
SIZE = 13
OTHERS = "all others"


def confusion_matrix(counts: Tensor, names: Sequence[str]) -> Tensor:
    """uint8 ``[3, H, W]``: a row for each true class, a column for each predicted one, darker where a larger share of
    the row is. ``counts`` int ``[C, C]``, true by predicted; ``names``: C words. Of more than 20 classes that occur
    those with the most mistakes are shown, and the others together."""
    chosen = most_confused(counts.cpu())
    table, words = merged(counts.cpu(), chosen), [names[number] for number in chosen]
    words += [OTHERS] if len(table) > len(chosen) else []
    words = [shortened_to(drawable(word), LONGEST, SIZE) for word in words]
    cell = max(30, min(48, 560 // max(1, len(table))))
    label = max((width_of(word, SIZE) for word in words), default=0)
    left, top = EDGE + AXIS + label + EDGE, EDGE + AXIS + label + EDGE
    canvas = Canvas(left + cell * len(table) + EDGE, top + cell * len(table) + EDGE)
    middle = len(table) * cell / 2
    canvas.text("predicted class", max(left + middle, 60), EDGE, "ma")
    write_upwards(canvas, "true class", EDGE, int(top + middle), "centre")
    for number, word in enumerate(words):
        canvas.text(word, left - EDGE, top + (number + 0.5) * cell, "rm", SIZE)
        write_upwards(canvas, word, int(left + (number + 0.5) * cell) - SIZE // 2 - 2, top - EDGE, "end")
    for row, values in enumerate(table.tolist()):
        for column, count in enumerate(values):
            draw_cell(canvas, count, sum(values), (left + column * cell, top + row * cell, cell), row == column)
    return canvas.tensor()


def draw_cell(canvas: Canvas, count: int, total: int, place: tuple[int, int, int], diagonal: bool) -> None:
    """A square whose colour is the share, with the count; those on the diagonal have a frame."""
    x, y, side = place
    share = count / total if total else 0.0
    colour: Colour = mixed(share)
    canvas.pen.rectangle((x, y, x + side - 2, y + side - 2), fill=colour, outline=INK if diagonal else GROUND)
    if count:
        text = f"{count}" if count < 10_000 else f"{count // 1000}k"
        canvas.text(text, x + side / 2 - 1, y + side / 2, "mm", SIZE, PAPER if share > 0.5 else INK)


def mixed(share: float) -> Colour:
    """Between white and blue."""
    red, green, blue = (round(255 + (target - 255) * share) for target in BLUE)
    return red, green, blue


def most_confused(counts: Tensor, most: int = MOST) -> list[int]:
    """The classes that occur, in order; where they are more than ``most``, those with the most mistakes, as true or as
    predicted class, of equals the lower number."""
    occurs = counts.sum(dim=0) + counts.sum(dim=1)
    present = occurs.nonzero().flatten()
    if len(present) <= most:
        return [int(number) for number in present]
    mistakes = (occurs - 2 * counts.diagonal())[present]
    chosen = present[mistakes.argsort(descending=True, stable=True)[:most]]
    return sorted(int(number) for number in chosen)


def merged(counts: Tensor, chosen: Sequence[int]) -> Tensor:
    """int64 ``[K, K]`` of the chosen classes; with one more row and column for all others, if any occurs."""
    group = torch.full((len(counts),), len(chosen), dtype=torch.int64)
    group[list(chosen)] = torch.arange(len(chosen))
    size = len(chosen) + 1
    table = torch.zeros(size * size, dtype=torch.int64)
    table.scatter_add_(0, (group[:, None] * size + group).flatten(), counts.long().flatten())
    table = table.view(size, size)
    others = bool(table[-1].any()) or bool(table[:, -1].any())
    return table if others else table[:-1, :-1]


def write_upwards(canvas: Canvas, text: str, x: int, y: int, anchor: str) -> None:
    """Write from bottom to top at x; ``anchor``: ``end``, the text begins at y and goes up; ``centre``: y is its
    middle."""
    from PIL import Image

    strip = Canvas(max(1, width_of(text, SIZE)), SIZE + 5)
    strip.text(text, 0, 0, "la", SIZE)
    turned = strip.picture.transpose(Image.Transpose.ROTATE_90)
    canvas.picture.paste(turned, (x, y - (turned.height if anchor == "end" else turned.height // 2)))
