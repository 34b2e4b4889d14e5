"""Projection and prediction heads: linear layers with batch norm and ReLU between them."""

from __future__ import annotations

from typing import Literal

from torch import nn


def projector(
    dim_in: int,
    hidden: int,
    dim_out: int,
    layers: int,
    last_norm: Literal["affine", "plain", "none"] = "affine",
) -> nn.Sequential:
    """``[B, dim_in]`` -> ``[B, dim_out]``: ``layers`` linear layers, batch norm after each, ReLU after all but the
    last, no bias under a norm (SimCLR's ``projection_head``; Chen et al. 2020, appendix B.3).

    ``last_norm``: what follows the last layer. ``plain`` is a batch norm without scale and shift (SimSiam, MoCo v3),
    ``none`` a bias and no norm (BYOL).
    """
    parts: list[nn.Module] = []
    for layer in range(layers):
        last = layer == layers - 1
        width = dim_out if last else hidden
        normed = not last or last_norm != "none"
        parts.append(nn.Linear(dim_in, width, bias=not normed))
        if normed:
            parts.append(nn.BatchNorm1d(width, affine=not last or last_norm == "affine"))
        if not last:
            parts.append(nn.ReLU(inplace=True))
        dim_in = width
    return nn.Sequential(*parts)
