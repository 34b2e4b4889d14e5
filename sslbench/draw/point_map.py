"""A map of images: each lies where its two numbers say, in a frame of the colour of its class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslbench.draw.canvas import Canvas
from sslbench.draw.colours import BLACK, CLASSES, INK, colour_of
from sslbench.draw.legend import LINE, SQUARE, draw_legend, placed_legend

SIDE = 1000
"""pixels of the map"""
LEAST_HEIGHT = 200
THUMBNAIL = 30
EDGE = 8
MOST_COLOURS = 2 * len(CLASSES)


def point_map(xy: Tensor, images: Tensor, classes: Tensor | None, names: Sequence[str]) -> Tensor:
    """uint8 ``[3, H, W]``. ``xy`` float ``[N, 2]``, y upwards; ``images`` uint8 ``[N, 3, h, w]``; ``classes`` int64
    ``[N]`` or None; ``names``: of the classes. Frames have colours where at most sixteen classes occur; those of the
    second eight have a black line inside."""
    numbers = [] if classes is None else sorted(set(classes.tolist()))
    order = {number: place for place, number in enumerate(numbers)} if len(numbers) <= MOST_COLOURS else {}
    legend = placed_legend([(colour_of(place), names[number]) for number, place in order.items()], SIDE)
    spots = places(xy, SIDE - 2 * EDGE - THUMBNAIL)
    spots[:, 1] -= spots[:, 1].min()
    height = max(LEAST_HEIGHT, int(spots[:, 1].max()) + 2 * EDGE + THUMBNAIL)
    below = EDGE + LINE * (1 + max(line for *_, line in legend)) if legend else 0
    canvas = Canvas(SIDE, height + below)
    for number, (x, y) in enumerate(spots.tolist()):
        left, top = EDGE + x, EDGE + y
        canvas.image(images[number], left, top, THUMBNAIL)
        if classes is None or not order:
            canvas.frame(left, top, THUMBNAIL, INK, 1)
        else:
            draw_frame(canvas, left, top, order[int(classes[number])])
    draw_legend(canvas, legend, height + EDGE)
    for _, _, x, line in legend[len(CLASSES) :]:
        canvas.frame(x + 3, height + EDGE + line * LINE + 3, SQUARE - 6, BLACK, 2)
    return canvas.tensor()


def draw_frame(canvas: Canvas, left: int, top: int, place: int) -> None:
    """Of the class at this place among those that occur."""
    canvas.frame(left, top, THUMBNAIL, colour_of(place), 3)
    if place >= len(CLASSES):
        canvas.frame(left + 3, top + 3, THUMBNAIL - 6, BLACK, 1)


def places(xy: Tensor, room: int) -> Tensor:
    """int64 ``[N, 2]``: pixels 0..room to the right and down, both axes in one scale; what is all in one point is in
    the middle."""
    values = xy.detach().cpu().double() * torch.tensor([1.0, -1.0], dtype=torch.float64)
    low, high = values.amin(dim=0), values.amax(dim=0)
    scale = room / max(float((high - low).max()), 1e-12)
    centred = (values - (low + high) / 2) * scale
    return (centred + room / 2).round().long().clamp(0, room)
