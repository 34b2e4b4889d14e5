"""Losses by the covariance of a batch's embeddings: VICReg's terms and the cross-correlation of Barlow Twins."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import mean_over_ranks, ranks
from sslbench_plugins.blocks.objectives.numerics import full_precision


def covariance(embeddings: Tensor) -> Tensor:
    """Of the embeddings ``[B, D]`` of all ranks, unbiased: float32 ``[D, D]``, with gradients."""
    with full_precision(embeddings):
        values = embeddings.float()
        centred = values - mean_over_ranks(values.mean(dim=0))
        return mean_over_ranks(centred.T @ centred) * (ranks() / (len(values) * ranks() - 1))


def variance_term(matrix: Tensor, gamma: float, epsilon: float) -> Tensor:
    """By how much the deviation of a dimension falls short of ``gamma``, mean over the dimensions (Bardes et al. 2022,
    equation 1): covariance ``[D, D]`` -> a scalar of 0 or more."""
    return functional.relu(gamma - (matrix.diagonal() + epsilon).sqrt()).mean()


def covariance_term(matrix: Tensor) -> Tensor:
    """Sum of the squared covariances of different dimensions, divided by their number D (Bardes et al. 2022, equation
    4): covariance ``[D, D]`` -> a scalar of 0 or more."""
    return off_diagonal(matrix).square().sum() / len(matrix)


def cross_correlation(
    first: Tensor, second: Tensor, normalise: Literal["batch", "features", "none"] = "batch"
) -> Tensor:
    """Mean over the images of all ranks of the outer products of their two embeddings ``[B, D]``: ``[D, D]``, float32
    with gradients (Zbontar et al. 2021, equation 2). Each embedding is first given mean 0 and deviation 1: each
    dimension over the ``batch``, or each image over its ``features``, or not at all."""
    with full_precision(first):
        first, second = (normalised(embeddings.float(), normalise) for embeddings in (first, second))
        return mean_over_ranks(first.T @ second / len(first))


def normalised(embeddings: Tensor, along: Literal["batch", "features", "none"]) -> Tensor:
    """``[B, D]`` with mean 0 and deviation 1, see ``cross_correlation``."""
    if along == "batch":
        # The function of torch that has the statistics of all ranks while a method trains.
        return functional.batch_norm(embeddings, None, None, training=True)
    return functional.layer_norm(embeddings, embeddings.shape[1:]) if along == "features" else embeddings


def on_diagonal_term(matrix: Tensor) -> Tensor:
    """Barlow Twins' invariance term, ``sum of (1 - C_ii)^2``: ``[D, D]`` -> a scalar."""
    return (1 - matrix.diagonal()).square().sum()


def off_diagonal_term(matrix: Tensor) -> Tensor:
    """Barlow Twins' redundancy reduction term, ``sum of C_ij^2`` over i != j: ``[D, D]`` -> a scalar."""
    return off_diagonal(matrix).square().sum()


def off_diagonal(matrix: Tensor) -> Tensor:
    """Square ``[D, D]`` -> what is not on its diagonal, ``[D - 1, D]``."""
    side = len(matrix)
    # Cut before the last value, each row of side + 1 values begins on the diagonal.
    return matrix.flatten()[:-1].view(side - 1, side + 1)[:, 1:]


@torch.no_grad()
def effective_dimensions(matrix: Tensor) -> Tensor:
    """How many dimensions a covariance ``[D, D]`` spreads over: ``trace^2 / sum of squares``, from 1 (all along one
    direction) to D (all directions alike); a scalar, 1 where nothing varies."""
    squares = matrix.square().sum()
    return torch.where(squares > 0, matrix.trace().square() / squares, torch.ones_like(squares))
