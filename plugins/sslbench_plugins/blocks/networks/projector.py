"""Projection and prediction heads: linear layers with batch norm and ReLU between them."""

from __future__ import annotations

from typing import Literal

from torch import nn


def projector(
    dim_in: int,
    hidden: int,
    dim_out: int,
    layers: int,
    last: Literal["scaled", "plain", "bare", "biased"] = "scaled",
) -> nn.Sequential:
    """``[B, dim_in]`` -> ``[B, dim_out]``: ``layers`` linear layers with batch norm and ReLU between them, no bias
    under a norm (Chen et al. 2020, appendix B.3).

    ``last``: what the last layer has, by the authors' codes. ``scaled`` is a batch norm that scales and does not shift
    (SimCLR's `model_util.py`), ``plain`` one that does neither (MoCo v3's `builder.py`, SimSiam's projector), ``bare``
    neither norm nor bias (BYOL's `networks.py`, the predictor of MoCo v3's ResNet), ``biased`` a bias (SimSiam's
    predictor).
    """
    parts: list[nn.Module] = []
    for _ in range(layers - 1):
        parts += [nn.Linear(dim_in, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
        dim_in = hidden
    parts.append(nn.Linear(dim_in, dim_out, bias=last == "biased"))
    if last in ("scaled", "plain"):
        norm = nn.BatchNorm1d(dim_out, affine=last == "scaled")
        if last == "scaled":
            norm.bias.requires_grad_(False)
        parts.append(norm)
    return nn.Sequential(*parts)
