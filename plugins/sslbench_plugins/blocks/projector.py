"""Projection head: linear layers with batch norm and ReLU between them."""

from __future__ import annotations

from torch import nn


def projector(dim_in: int, hidden: int, dim_out: int, layers: int) -> nn.Sequential:
    """``[B, dim_in]`` -> ``[B, dim_out]``: ``layers`` linear layers, batch norm after each, ReLU after all but the
    last, no bias under a norm (SimCLR's ``projection_head``; Chen et al. 2020, appendix B.3)."""
    parts: list[nn.Module] = []
    for layer in range(layers):
        last = layer == layers - 1
        width = dim_out if last else hidden
        parts += [nn.Linear(dim_in, width, bias=False), nn.BatchNorm1d(width)]
        if not last:
            parts.append(nn.ReLU(inplace=True))
        dim_in = width
    return nn.Sequential(*parts)
