"""Rotary positions of timm's `Eva` networks (DINOv3, EVA-02, Perception Encoder): which patch is turned by how much."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

Grid = tuple[int, int]


class Rotations:
    """Sines and cosines by which the blocks of a network, made for patches of the grid ``own``, turn its patches."""

    def __init__(self, own: Grid) -> None:
        self.own = own
        # timm computes them on the host; a GPU would wait for that in every step.
        self._kept: dict[tuple[Grid, torch.device], Tensor] = {}

    def __call__(self, net: Any, grid: Grid, patches: Tensor | None) -> list[Tensor]:
        """Sines, then cosines, for each block: of the patches of ``grid``, ``[N, 2 * d]``, or ``[heads, N, 2 * d]``
        where they are learned, N = rows * cols, d the width of a head. With ``patches``, int64 ``[B, n]``, of these
        alone: ``[B, 1 or heads, n, 2 * d]``."""
        table = self._table(net, grid)
        if table.ndim == 2:
            return [table if patches is None else table[patches][:, None]] * len(net.blocks)
        return [one if patches is None else one[:, patches].transpose(0, 1) for one in table]

    def _table(self, net: Any, grid: Grid) -> Tensor:
        """``[N, 2 * d]``, or ``[depth, heads, N, 2 * d]`` where the frequencies are learned, block by block."""
        rope = net.rope
        if hasattr(rope, "freqs") or (net.training and getattr(rope, "aug_active", False)):
            drawn: Tensor = rope.get_embed(shape=grid)
            return drawn
        key = grid, net.patch_embed.proj.weight.device
        if key not in self._kept:
            with torch.inference_mode(False), torch.no_grad():
                self._kept[key] = fixed(rope, self.own, grid).to(key[1])
        return self._kept[key]


def fixed(rope: Any, own: Grid, grid: Grid) -> Any:
    """Of positions that are not learned, ``[N, 2 * d]``."""
    if getattr(rope, "feat_shape", None) is None:
        return rope.get_embed(shape=grid)
    if grid != own:
        # What is kept for the network's own grid knows no other; a copy with buffers of its own is made for this one.
        rope = copy.copy(rope)
        rope._buffers = dict(rope._buffers)
        rope.update_feat_shape(grid)
    return rope.get_embed()
