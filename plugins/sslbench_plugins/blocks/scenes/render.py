"""Scenes -> images, masks and depth maps, without a loop over images.

Every pixel is computed by operations that IEEE 754 rounds exactly, one at a time, so that an image is the same whatever
the batch and the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sslbench_plugins.blocks.scenes.scene import FADING, GROUND, HAZE, MOST_OBJECTS, Scenes
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES, Figure
from sslbench_plugins.blocks.scenes.textures import TEXTURES

SHARPNESS = 1.5
"""pixels over which a texture goes from one colour to the other"""


def images(scenes: Scenes, size: int) -> Tensor:
    """uint8 ``[B, 3, size, size]``: the objects with smooth edges over the ground, the nearest last."""
    out = torch.empty(len(scenes), 3, size, size, dtype=torch.uint8)
    start = 0
    for part in scenes.parts(size):
        picture = ground(part, size)
        for rank, rows, distance in layers(part, size):
            cover = (0.5 - distance).clamp_(0, 1)[:, None]
            under = picture if rank == 0 else picture[rows]
            over = under + (part.colour[rows, rank][:, :, None, None] - under) * cover
            if rank == 0:
                picture = over
            else:
                picture[rows] = over
        # 0.5 rounds to the nearest whole number, since the conversion cuts off.
        out[start : start + len(part)] = (picture * 255 + 0.5).to(torch.uint8)
        start += len(part)
    return out


def masks(scenes: Scenes, size: int) -> Tensor:
    """uint8 ``[B, size, size]``: 0 where a pixel's centre is on the ground, else 1 + the rank of the object there."""
    out = torch.zeros(len(scenes), size, size, dtype=torch.uint8)
    start = 0
    for part in scenes.parts(size):
        mask = out[start : start + len(part)]
        for rank, rows, distance in layers(part, size):
            mask[rows] = mask[rows].masked_fill(distance <= 0, rank + 1)
        start += len(part)
    return out


def depths(scenes: Scenes, size: int) -> Tensor:
    """float32 ``[B, size, size]`` in 0..1: depth of the object or ground at a pixel's centre."""
    values = torch.cat([ground_depth(part, size) for part in scenes.parts(size)]) if len(scenes) else torch.empty(0)
    mask = masks(scenes, size)
    for rank in range(MOST_OBJECTS):
        values = torch.where(mask == rank + 1, scenes.depth[:, rank, None, None], values)
    return values.view(-1, size, size)


def layers(scenes: Scenes, size: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Objects from the farthest to the nearest rank: the rank, the rows that have it, and for these the signed distance
    of each pixel's centre from the outline, float32 ``[M, size, size]`` in pixels."""
    for rank in range(MOST_OBJECTS - 1, -1, -1):
        rows = (scenes.count > rank).nonzero().flatten()
        if not len(rows):
            continue
        kinds = scenes.figure[rows, rank]
        distance = torch.empty(len(rows), size, size)
        for kind, (figure, _) in enumerate(FIGURES.values()):
            of_kind = (kinds == kind).nonzero().flatten()
            if len(of_kind):
                distance[of_kind] = outline_distance(figure, scenes, rows[of_kind], rank, size)
        yield rank, rows, distance


def outline_distance(figure: Figure, scenes: Scenes, rows: Tensor, rank: int, size: int) -> Tensor:
    """Signed distance of each pixel's centre from the figure of one rank, float32 ``[M, size, size]`` in pixels."""
    centres = (torch.arange(size) + 0.5) / size
    radius = scenes.scale[rows, rank][:, None]
    cosine, sine = scenes.turn[rows, rank].unsqueeze(-1).unbind(1)
    x = (centres - scenes.x[rows, rank][:, None]) / radius
    y = (centres - scenes.y[rows, rank][:, None]) / radius
    u = (x * cosine)[:, None, :] + (y * sine)[:, :, None]
    v = (y * cosine)[:, :, None] - (x * sine)[:, None, :]
    return figure(u, v) * (radius * size)[:, :, None]


def ground(scenes: Scenes, size: int) -> Tensor:
    """float32 ``[B, 3, size, size]`` in 0..1: two colours mixed by the texture, and haze."""
    centres = (torch.arange(size) + 0.5) / size
    mix = torch.empty(len(scenes), size, size)
    for kind, texture in enumerate(TEXTURES.values()):
        rows = (scenes.texture == kind).nonzero().flatten()
        if not len(rows):
            continue
        cosine, sine, first, second, periods = scenes.wave[rows].unsqueeze(-1).unbind(1)
        p = (cosine * centres + first)[:, None, :] + (sine * centres)[:, :, None]
        q = (cosine * centres + second)[:, :, None] - (sine * centres)[:, None, :]
        edge = (size / SHARPNESS / periods).clamp_(min=2)[:, :, None]
        mix[rows] = texture(p, q, edge, scenes.lattice[rows])
    dark, light = scenes.ground[:, :, :, None, None].unbind(1)
    colour = (light - dark) * mix[:, None] + dark
    haze = torch.tensor(HAZE).view(3, 1, 1)
    return (haze - colour).mul_((ground_depth(scenes, size) * FADING)[:, None]).add_(colour)


def ground_depth(scenes: Scenes, size: int) -> Tensor:
    """float32 ``[B, size, size]``: a plane that is farther at the top."""
    offset = (torch.arange(size) + 0.5) / size - 0.5
    along, down = scenes.slope[:, :1] * offset, scenes.slope[:, 1:] * offset
    return (along + sum(GROUND) / 2)[:, None, :] + down[:, :, None]
