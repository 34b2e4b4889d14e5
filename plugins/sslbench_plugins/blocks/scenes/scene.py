"""Scenes of one to three figures before a textured ground: drawn from a counter, rendered a batch at a time.

Lengths and positions are fractions of the image's side, measured from its upper left corner to the right and downwards.
Depth is 0 at the camera and 1 at the far end of the ground. A colour fades into haze with its depth, which is how depth
can be read off an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslbench_plugins.blocks.scenes.counter import Counter
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES
from sslbench_plugins.blocks.scenes.textures import LATTICE, TEXTURES

MOST_OBJECTS = 3
SCALE = (0.16, 0.28)
"""circumradius of the main object"""
SMALL_SCALE = (0.08, 0.115)
"""circumradius of the others: the largest square is smaller in area than the smallest star"""
CENTRE = (0.30, 0.70)
"""of the main object, on either axis: it never leaves the image"""
MARGIN = 0.10
"""least distance of the other objects' centres from the border"""
TURN = 30.0
"""greatest rotation, degrees: less than half of any figure's symmetry, so that no two rotations look alike"""
HUES = 0.75
"""hues go from red (0) to violet (0.75); the circle is left open, so that hue is a number like any other"""
DEPTHS = ((0.05, 0.40), (0.45, 0.50), (0.50, 0.55))
"""of the objects, nearest first"""
GROUND = (0.6, 1.0)
"""depth of the ground"""
PERIODS = (3.0, 6.0)
"""periods of a texture along the image's side"""
HAZE = (0.60, 0.65, 0.70)
FADING = 0.7
"""share of haze in a colour at depth 1"""
PART = 1 << 18
"""pixels rendered at a time: fewer cost more calls, more cost more memory"""
PER_OBJECT = ("figure", "scale", "rotation", "hue", "saturation", "depth", "first", "second")
PER_SCENE = (
    *("count", "texture", "angle", "periods", "tilt", "p", "q"),
    *("hue0", "saturation0", "value0", "hue1", "saturation1", "value1"),
)
"""names of the random numbers"""
COLUMNS = len(PER_SCENE) + MOST_OBJECTS * len(PER_OBJECT) + LATTICE * LATTICE
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes. Rank 0 is the main object, the nearest and largest one; figures are sorted by depth."""

    count: Tensor
    """int64 ``[B]``: objects"""
    figure: Tensor
    """int64 ``[B, 3]``: index in FIGURES"""
    x: Tensor
    """float32 ``[B, 3]``, and so are the next ones"""
    y: Tensor
    scale: Tensor
    rotation: Tensor
    """degrees, clockwise"""
    hue: Tensor
    depth: Tensor
    turn: Tensor
    """``[B, 3, 2]``: cosine and sine of the rotation"""
    colour: Tensor
    """``[B, 3, 3]``: rank, channel; haze included"""
    texture: Tensor
    """int64 ``[B]``: index in TEXTURES"""
    ground: Tensor
    """``[B, 2, 3]``: two colours, without haze"""
    wave: Tensor
    """``[B, 5]``: cosine and sine of the texture's direction, times its periods; the two phases; periods"""
    slope: Tensor
    """``[B, 2]``: change of the ground's depth along x and y"""
    lattice: Tensor
    """``[B, L, L]``"""

    def __len__(self) -> int:
        return len(self.count)

    @property
    def ground_colour(self) -> tuple[Tensor, Tensor]:
        """Red less green, and blue less yellow, of the mean of the ground's two colours without haze, as shares of
        their light: float32 ``[B]`` each, 0 for grey."""
        red, green, blue = self.ground.mean(dim=1).unbind(1)
        light = red + green + blue
        return (red - green) / light, (blue - (red + green) / 2) / light

    def parts(self, size: int) -> Iterator[Scenes]:
        """Some scenes at a time, so few that their images of this side are rendered at once."""
        step = max(1, PART // (size * size))
        for start in range(0, len(self), step):
            yield Scenes(**{item.name: getattr(self, item.name)[start : start + step] for item in fields(self)})


def draw(name: str, indices: Tensor, objects: int) -> Scenes:
    """The scenes at ``indices`` (int64 ``[B]``, 0 or more) of the endless list called ``name``, with at most
    ``objects`` objects."""
    table = Counter(name, COLUMNS).rows(indices.numpy())
    border = len(PER_SCENE) + MOST_OBJECTS * len(PER_OBJECT)
    once = dict(zip(PER_SCENE, table.T, strict=False))
    columns = table[:, len(PER_SCENE) : border].reshape(-1, MOST_OBJECTS, len(PER_OBJECT))
    own = {word: columns[:, :, column] for column, word in enumerate(PER_OBJECT)}
    integers = {
        "count": 1 + np.floor(once["count"] * objects),
        "figure": np.floor(own["figure"] * len(FIGURES)),
        "texture": np.floor(once["texture"] * len(TEXTURES)),
    }
    lattice = table[:, border:].reshape(-1, LATTICE, LATTICE)
    numbers = {**object_numbers(own), **ground_numbers(once), "lattice": lattice}
    return Scenes(
        **{name: torch.from_numpy(values.astype(np.int64)) for name, values in integers.items()},
        **{name: torch.from_numpy(values.astype(np.float32)) for name, values in numbers.items()},
    )


def object_numbers(own: dict[str, Floats]) -> dict[str, Floats]:
    """Fields of ``Scenes`` that the objects have, the main one first."""
    small = np.arange(MOST_OBJECTS) > 0
    scale = np.where(small, between(*SMALL_SCALE, own["scale"]), between(*SCALE, own["scale"]))
    x, y = centres(own["first"], own["second"], scale[:, 0])
    hue, rotation = HUES * own["hue"], between(-TURN, TURN, own["rotation"])
    depth = np.stack([between(*DEPTHS[rank], own["depth"][:, rank]) for rank in range(MOST_OBJECTS)], axis=1)
    colour = rgb(hue, between(0.85, 1.0, own["saturation"]), np.ones_like(hue))
    return {
        "x": x,
        "y": y,
        "scale": scale,
        "rotation": rotation,
        "hue": hue,
        "depth": depth,
        "turn": np.stack([np.cos(np.radians(rotation)), np.sin(np.radians(rotation))], axis=2),
        "colour": colour + (np.array(HAZE) - colour) * FADING * depth[..., None],
    }


def ground_numbers(once: dict[str, Floats]) -> dict[str, Floats]:
    """Fields of ``Scenes`` that the ground has."""
    dark = rgb(once["hue0"], 0.3 * once["saturation0"], between(0.10, 0.30, once["value0"]))
    light = rgb(once["hue1"], 0.3 * once["saturation1"], between(0.70, 0.90, once["value1"]))
    periods, angle, tilt = between(*PERIODS, once["periods"]), math.pi * once["angle"], once["tilt"] - 0.5
    direction = [periods * np.cos(angle), periods * np.sin(angle)]
    return {
        "ground": np.stack([dark, light], axis=1),
        "wave": np.stack([*direction, LATTICE * once["p"], LATTICE * once["q"], periods], 1),
        # The ground is nearer at the bottom than at the top, and nearer on one side than on the other.
        "slope": (GROUND[1] - GROUND[0]) * np.stack([tilt, np.abs(tilt) - 1], axis=1),
    }


def between(low: float | Floats, high: float | Floats, uniform: Floats) -> Floats:
    """Uniform numbers in 0..1 -> ``low`` to ``high``."""
    return np.asarray(low + (high - low) * uniform)


def rgb(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    """HSV, each 0..1 -> RGB on a new last axis (Smith: Color Gamut Transform Pairs, 1978)."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue[..., None]) % 6
    return np.asarray(value[..., None] * (1 - saturation[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1)))


def centres(first: Floats, second: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Centres ``[B, 3]``. The main object's is anywhere in CENTRE; the others lie in a direction and at a distance from
    it where it does not cover them, the third not near the second."""
    x, y = (between(*CENTRE, values[:, :1]) for values in (first, second))
    turns = np.stack([first[:, 1], first[:, 1] + between(0.25, 0.75, first[:, 2])], axis=1)
    along, down = np.cos(2 * math.pi * turns), np.sin(2 * math.pi * turns)
    # Where the main object leaves no room, the opposite direction has it.
    flip = np.where(room(x, y, along, down) < radius[:, None], -1.0, 1.0)
    along, down = flip * along, flip * down
    far = room(x, y, along, down)
    distance = between(np.minimum(radius[:, None], far), far, second[:, 1:])
    return np.concatenate([x, x + distance * along], axis=1), np.concatenate([y, y + distance * down], axis=1)


def room(x: Floats, y: Floats, along: Floats, down: Floats) -> Floats:
    """Distance from the centre ``[B, 1]`` to the margin in each direction, ``[B, 2]``."""
    to_sides, to_top_or_bottom = (
        np.where(part > 0, 1 - MARGIN - start, start - MARGIN) / np.maximum(np.abs(part), 1e-9)
        for start, part in ((x, along), (y, down))
    )
    return np.minimum(to_sides, to_top_or_bottom)
