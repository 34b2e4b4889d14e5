"""Test images with their true maps and the predicted ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sslbench import EvaluatedModel, Picture, Tile, TileRow, class_colours, tile_rows, value_colours
from sslbench_plugins.blocks.pictures.views import visible

NOT_SCORED = -1
UNKNOWN = 255
LAST = 254
"""place whose colour all classes share that come after it"""
NAMED = 8
"""classes that the caption names"""
STEPS = 5
"""of the scale of values in the legend"""
HEADINGS = ("image", "true", "predicted")


def class_maps(model: EvaluatedModel, rows: Tensor, true: Tensor, predicted: Tensor, names: Sequence[str]) -> Picture:
    """Of test images at ``rows`` int64 ``[B]``. ``true`` and ``predicted``: int64 ``[B, S, S]`` classes of pixels,
    ``NOT_SCORED`` where none counts; ``names``: of classes 0, 1, ..., as far as they have any."""
    true, predicted = true.cpu(), predicted.cpu()
    here = [int(value) for value in torch.unique(torch.cat([true, predicted])) if value != NOT_SCORED]
    # The ground keeps 0; the others get the first colours, whatever their numbers.
    places = {value: 0 for value in here[:1] if value == 0}
    places |= {value: place for place, value in enumerate((v for v in here if v > 0), start=1)}

    def coloured(values: Tensor) -> Tensor:
        placed = torch.full_like(values, UNKNOWN)
        for value, place in places.items():
            placed[values == value] = min(place, LAST)
        return class_colours(placed)

    words = {value: name_of(value, names) for value in places}
    legend = [(class_colour(place), words[value]) for value, place in places.items()]
    right = float((true == predicted)[true != NOT_SCORED].double().mean()) if bool((true != NOT_SCORED).any()) else 0.0
    which = f"{len(here)} class{'' if len(here) == 1 else 'es'} ({first_of(list(words.values()))})"
    caption = (
        f"{len(rows)} test images, one a row: the image, the true classes of its pixels and the predicted ones, in one"
        f" colour for each of {which}{again_after(len(places))}; pale grey does not count; {right:.0%} of the pixels"
        " shown are right."
    )
    return beside(model, rows, (true, predicted), coloured, caption, legend)


def first_of(words: Sequence[str]) -> str:
    """``ground, 1, 2 and 12 more``."""
    more = f" and {len(words) - NAMED:,} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def again_after(places: int) -> str:
    """Words for a caption where there are more classes than colours."""
    return f", the last {places - LAST:,} of them in one" if places > LAST + 1 else ""


def class_colour(place: int) -> tuple[int, int, int]:
    """Of a class by its place among those that are shown."""
    red, green, blue = class_colours(torch.full((1, 1), min(place, LAST))).flatten().tolist()
    return red, green, blue


def name_of(value: int, names: Sequence[str]) -> str:
    """Of a class of pixels."""
    if value < len(names):
        return names[value]
    return "0 (ground)" if value == 0 else str(value)


def value_maps(model: EvaluatedModel, rows: Tensor, true: Tensor, predicted: Tensor) -> Picture:
    """Of test images at ``rows`` int64 ``[B]``; ``true`` and ``predicted`` float ``[B, S, S]``, NaN where unknown."""
    true, predicted = true.cpu().double(), predicted.cpu().double()
    known = true[true.isfinite()]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    error = float((true - predicted)[true.isfinite()].abs().mean()) if len(known) else 0.0

    def coloured(values: Tensor) -> Tensor:
        return value_colours((values - low) / max(high - low, 1e-12))

    steps = torch.linspace(low, high, STEPS, dtype=torch.float64)
    colours = coloured(steps[None])[:, 0].T.tolist()
    legend = [((red, green, blue), f"{step:.2f}") for step, (red, green, blue) in zip(steps, colours, strict=True)]
    caption = (
        f"{len(rows)} test images, one a row: the image, the true depth and the predicted one on one scale, darker for"
        f" nearer, {low:.2f} to {high:.2f}, what lies beyond in the colour of its end; pale grey is not known; the mean"
        f" error of what is shown is {error:.2f}."
    )
    return beside(model, rows, (true, predicted), coloured, caption, legend)


def beside(
    model: EvaluatedModel,
    rows: Tensor,
    maps: tuple[Tensor, Tensor],
    coloured: Callable[[Tensor], Tensor],
    caption: str,
    legend: Sequence[tuple[tuple[int, int, int], str]] = (),
) -> Picture:
    """The picture: image, true map, predicted map."""
    images = visible(model, model.images("test", rows))
    tiles = [
        TileRow([Tile(images[row]), *(Tile(coloured(values[row])) for values in maps)]) for row in range(len(rows))
    ]
    return Picture("maps", tile_rows(tiles, HEADINGS, side=96, legend=legend), caption)
