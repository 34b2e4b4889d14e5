"""Projection and prediction heads, and how a network with batch norm is run over several views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, cat, nn


def projector(
    dim_in: int, hidden: int, dim_out: int, layers: int, last: Literal["scaled", "plain", "bare", "biased"] = "scaled"
) -> nn.Sequential:
    """``[B, dim_in]`` -> ``[B, dim_out]``: ``layers`` linear layers with batch norm and ReLU between them, no bias
    under a norm (Chen et al. 2020, appendix B.3).

    ``last``: what the last layer has, by the authors' codes. ``scaled``: a batch norm that scales and does not shift
    (SimCLR's `model_util.py`); ``plain``: one that does neither (MoCo v3's `builder.py`, SimSiam's projector);
    ``bare``: neither norm nor bias (BYOL's `networks.py`, MoCo v3's predictor); ``biased``: a bias (SimSiam's).
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


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def per_view(network: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
    """The network's output for each view, ``[B, D]`` each, in one pass where that is the same. Batch norm would take
    its statistics over all views at once: the codes of BYOL, SimSiam and MoCo v3 pass them one after the other."""
    if any(isinstance(module, BATCH_NORMS) for module in network.modules()):
        return [network(view) for view in views]
    return list(network(cat(list(views))).chunk(len(views)))
