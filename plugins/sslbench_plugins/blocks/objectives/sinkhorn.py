"""Sinkhorn-Knopp: codes that share prototypes equally among the rows of a batch (Caron et al. 2020, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import gathered, mean_over_ranks
from sslbench_plugins.blocks.objectives.numerics import full_precision


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float | Tensor, iterations: int, weights: Tensor | None = None) -> Tensor:
    """Codes ``[B, K]``, float32 without gradients, each row a distribution over K prototypes.

    From ``exp(scores / epsilon)``, ``[B, K]``, each iteration gives every prototype the same share of the rows of all
    ranks, then every row a sum of 1. Without an iteration the codes are the softmax of each row. ``weights``: float
    ``[B]``, 0 or more, as how many rows each row counts; one of 0 gets a code and changes no other. Every rank must
    come here, with as many rows.
    """
    with full_precision(scores):
        logits = scores.float() / epsilon
        top = logits.amax(dim=1)
        # The matrix stays: its rows and columns have factors, first those of exp(logits - the largest of all ranks).
        matrix = (logits - top[:, None]).exp_()
        rows = (top - gathered(top.amax()[None]).amax()).exp_()
        counted = torch.ones_like(top) if weights is None else weights.float()
        total = mean_over_ranks(counted.sum()).clamp(min=1)
        columns = torch.ones_like(matrix[0])
        for _ in range(iterations):
            shares = mean_over_ranks((counted * rows) @ matrix) / total
            columns = 1 / (len(columns) * shares.clamp(min=torch.finfo(shares.dtype).tiny))
            rows = 1 / (matrix @ columns)
        codes = matrix.mul_(columns)
        return codes.div_(codes.sum(dim=1, keepdim=True))
