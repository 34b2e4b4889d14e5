"""Images beside each other: in rows with words in front, under headings, each with a title and a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from sslbench.contracts.picture_checks import LARGEST
from sslbench.draw.canvas import Canvas, tile_side
from sslbench.draw.colours import BLACK, BLUE, PAPER, VERMILION, Colour
from sslbench.draw.legend import LINE, draw_legend, placed_legend
from sslbench.draw.words import drawable, shortened_to, width_of

Mark = Literal["", "right", "wrong", "plain"]
MARKS: dict[Mark, Colour] = {"right": BLUE, "wrong": VERMILION, "plain": BLACK}
"""A blue frame and a tick, a vermilion frame and a cross, a black frame."""
GAP = 8
"""pixels between tiles"""
WIDEST_LABEL = 180


@dataclass(frozen=True)
class Tile:
    """One image of a grid."""

    image: Tensor  # uint8 ``[3, h, w]`` or ``[1, h, w]``, of any size
    title: str = ""  # below it, on one line or several; each is shortened to the tile's width
    mark: Mark = ""


@dataclass(frozen=True)
class TileRow:
    """One row of a grid."""

    tiles: Sequence[Tile | None]  # None leaves a place free
    label: str = ""  # in front of it; shortened


def grid(tiles: Sequence[Tile], columns: int, side: int = 80) -> Tensor:
    """uint8 ``[3, H, W]``: tiles from left to right, row by row; ``side``: about so many pixels each has."""
    starts = range(0, len(tiles), max(1, columns))
    return tile_rows([TileRow(tiles[start : start + columns]) for start in starts], side=side)


def tile_rows(
    rows: Sequence[TileRow], headings: Sequence[str] = (), side: int = 80, legend: Sequence[tuple[Colour, str]] = ()
) -> Tensor:
    """uint8 ``[3, H, W]``: one row below the other, ``headings`` above the columns, what colours mean below; ``side``:
    about so many pixels each tile has, less where the picture would have more than 2048. Rows for which there is no
    place even so are left out, and a line says how many."""
    label = min(WIDEST_LABEL, max((width_of(drawable(row.label)) for row in rows), default=0))
    left = GAP + (label + GAP if label else 0)
    columns = max([len(headings), *(len(row.tiles) for row in rows)], default=0)
    side = max(1, min(side_of(rows, side), (LARGEST - left) // max(1, columns) - GAP))
    top = GAP + (LINE if headings else 0)
    heights = [side + GAP + LINE * max((lines_of(tile) for tile in row.tiles), default=0) for row in rows]
    width = max(1, left + columns * (side + GAP))
    entries = placed_legend(legend, width)
    below = LINE * (1 + max(line for *_, line in entries)) if entries else 0
    note = 0
    while heights and top + sum(heights) + note + below > LARGEST:
        heights.pop()
        note = LINE
    canvas = Canvas(width, max(1, top + sum(heights) + note + below))
    draw_legend(canvas, entries, top + sum(heights) + note)
    if note:
        left_out = f"{len(rows) - len(heights):,} more rows: no place"
        canvas.text(shortened_to(left_out, width - GAP), GAP, top + sum(heights))
    for column, heading in enumerate(headings):
        write_within(canvas, heading, left + column * (side + GAP), GAP - 2, side)
    y = top
    for row, height in zip(rows, heights, strict=False):
        canvas.text(shortened_to(drawable(row.label), label), left - GAP, y + side // 2, "rm")
        for column, tile in enumerate(row.tiles):
            if tile is not None:
                draw_tile(canvas, tile, left + column * (side + GAP), y, side)
        y += height
    return canvas.tensor()


def side_of(rows: Sequence[TileRow], wanted: int) -> int:
    """Of all tiles: what suits the largest image."""
    sides = [max(tile.image.shape[-2:]) for row in rows for tile in row.tiles if tile is not None]
    return tile_side(max(sides), wanted) if sides else wanted


def lines_of(tile: Tile | None) -> int:
    """Of its title."""
    return len(tile.title.splitlines()) if tile else 0


def draw_tile(canvas: Canvas, tile: Tile, x: int, y: int, side: int) -> None:
    """The image with its mark, and its title below."""
    canvas.image(tile.image, x, y, side)
    if tile.mark:
        canvas.frame(x, y, side, MARKS[tile.mark])
    if tile.mark in ("right", "wrong"):
        draw_sign(canvas, tile.mark, x + side, y)
    for number, line in enumerate(tile.title.splitlines()):
        write_within(canvas, line, x, y + side + 1 + number * LINE, side)


def draw_sign(canvas: Canvas, mark: Mark, x: int, y: int, size: int = 18) -> None:
    """A white tick or cross on a square of the mark's colour whose upper right corner is at x, y."""
    left, colour = x - size, MARKS[mark]
    canvas.pen.rectangle((left, y, x - 1, y + size - 1), fill=colour)
    if mark == "right":
        points = [(left + 4, y + 9), (left + 8, y + 13), (left + 14, y + 5)]
        canvas.pen.line(points, fill=PAPER, width=3, joint="curve")
        return
    canvas.pen.line([(left + 5, y + 5), (left + 13, y + 13)], fill=PAPER, width=3)
    canvas.pen.line([(left + 13, y + 5), (left + 5, y + 13)], fill=PAPER, width=3)


def write_within(canvas: Canvas, text: str, x: int, y: int, side: int) -> None:
    """One line in the middle of ``side`` pixels, shortened to them."""
    canvas.text(shortened_to(drawable(text), side + 2), x + side / 2, y, "ma")
