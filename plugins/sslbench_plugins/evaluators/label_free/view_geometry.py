"""How features lie on the unit sphere, and how views of one image lie among those of others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sslbench_plugins.evaluators.label_free.spectrum import EPSILON, entropy_rank

LIDAR_DELTA = 1e-4
"""LiDAR's constant, added to the within-image covariance's diagonal"""
ROWS = 1024
"""rows of the matrix of distances that are in memory at once"""


def directions(features: Tensor) -> Tensor:
    """``[..., D]`` -> float64 of length 1. Raises ValueError where one is zero."""
    values = features.double()
    lengths = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    zeros = int((lengths == 0).sum())
    if zeros:
        raise ValueError(f"{zeros} of {lengths.numel()} feature vectors are zero and have no direction")
    return torch.div(values, lengths)


def alignment(views: Tensor) -> float:
    """Mean squared distance of two views of one image, over all pairs: 0 (they are equal) to 4.

    ``views`` float ``[n, q, D]``, q views of n images, q at least 2; on the unit sphere (Wang and Isola 2020,
    section 4, with exponent 2).
    """
    count = views.shape[1]
    unit = directions(views)
    # The sum over ordered pairs of |a - b|^2 is 2 q sum |a|^2 - 2 |sum a|^2, and lengths are 1.
    distances = 2 * count * count - 2 * unit.sum(dim=1).square().sum(dim=1)
    return float(distances.mean().clamp_min(0) / (count * (count - 1)))


def uniformity(features: Tensor) -> float:
    """log of the mean of exp(-2 |a - b|^2) over pairs of different images: 0 (one point) down to -4 in wide spaces.

    ``features`` float ``[N, D]``, N at least 2, on the unit sphere (Wang and Isola 2020, section 4, t = 2).
    """
    unit = directions(features)
    count = len(unit)
    total = unit.new_zeros(())
    for part in torch.split(unit, ROWS):
        total += (4 * (part @ unit.T - 1)).exp().sum()
    return math.log(float(total - count) / (count * (count - 1)))


def lidar(views: Tensor) -> float:
    """Rank of linear discriminant analysis with images as classes: 1 to min(n - 1, D) (Thilak et al. 2024, section 4).

    ``views`` float ``[n, q, D]``: q augmented views of n images. exp of the entropy of the eigenvalues of
    W^-1/2 B W^-1/2, where B is the covariance of the images' means and W that of views around their image's mean
    plus 1e-4 on the diagonal. Directions that separate views more than images count for little. Raises ValueError
    where all images have one mean.
    """
    values = views.double()
    images, count, width = values.shape
    means = values.mean(dim=1)
    around = (values - means[:, None]).reshape(-1, width)
    within = around.mT @ around / (images * (count - 1))
    within.diagonal().add_(LIDAR_DELTA)
    between = (means - means.mean(dim=0)) / math.sqrt(images - 1)
    if not bool(between.abs().amax() > 1e-12 * means.abs().amax()):
        raise ValueError("all images have one mean over their views")
    # The eigenvalues of W^-1/2 B W^-1/2 are the squared singular values of L^-1 (means - mean), W = L L^T.
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(within), between.mT, upper=False)
    smaller = whitened.mT @ whitened if whitened.shape[0] >= whitened.shape[1] else whitened @ whitened.mT
    return entropy_rank(torch.linalg.eigvalsh(smaller).clamp_min(0), EPSILON)
