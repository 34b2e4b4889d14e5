"""Rotary positions of timm's `Eva` networks (DINOv3, EVA-02, Perception Encoder): which patch is turned by how much."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

Grid = tuple[int, int]


def rotations(net: Any, own: Grid, grid: Grid, patches: Tensor | None) -> list[Tensor]:
    """Sines, then cosines, of the patches of ``grid`` for each block of a network made for ``own``: ``[N, 2 * d]``, or
    ``[heads, N, 2 * d]`` where they are learned, N = rows * cols, d the width of a head. With ``patches``, int64
    ``[B, n]``, of these alone: ``[B, 1 or heads, n, 2 * d]``."""
    all_blocks: Tensor = table(net.rope, own, grid)
    depth = len(net.blocks)
    if all_blocks.ndim == 2:
        return [all_blocks if patches is None else all_blocks[patches][:, None]] * depth
    return [one if patches is None else one[:, patches].transpose(0, 1) for one in all_blocks]


def table(rope: Any, own: Grid, grid: Grid) -> Any:
    """``[N, 2 * d]``, or ``[depth, heads, N, 2 * d]`` where the frequencies are learned, block by block."""
    if getattr(rope, "feat_shape", None) is None:
        return rope.get_embed(shape=grid)
    if grid == own:
        return rope.get_embed()
    if hasattr(rope, "freqs"):
        return rope.get_embed(shape=grid)
    # What is kept for the network's own grid knows no other; a copy is made for this one.
    resized = copy.deepcopy(rope)
    resized.update_feat_shape(grid)
    return resized.get_embed()
