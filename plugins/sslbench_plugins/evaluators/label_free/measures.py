"""How many directions features use, how they lie on the unit sphere, and views of one image among those of others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-7
"""RankMe's constant, added to each share"""
ALPHA_FROM, ALPHA_TO = 3, 100
"""ranks of the eigenvalues that alpha-ReQ's line is fitted through; the first few do not lie on it"""
FEWEST_EIGENVALUES = 5
LIDAR_DELTA = 1e-4
"""LiDAR's constant, added to the within-image covariance's diagonal"""
ROWS = 1024
"""rows of the matrix of distances that are in memory at once"""


def singular_values(features: Tensor, centred: bool = False) -> Tensor:
    """float64 ``[min(N, D)]``, largest first, of float ``[N, D]``: as it is, or ``centred`` around its mean.

    From the Gram matrix of the smaller side in float64. What that cannot tell from rounding is 0: values below about
    1e-7 of the largest, and of centred features all from the N-th on.
    """
    values = features.double()
    if centred:
        # From the first row, so that a constant leaves nothing, whatever it is.
        values = values - values[0]
        values = values - values.mean(dim=0)
    gram = values.mT @ values if values.shape[0] >= values.shape[1] else values @ values.mT
    squares = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
    squares[squares <= len(gram) * torch.finfo(gram.dtype).eps * squares[0]] = 0
    if centred:
        squares[len(features) - 1 :] = 0
    return torch.sqrt(squares)


def entropy_rank(weights: Tensor, epsilon: float = 0.0) -> float:
    """exp of the entropy of ``[K]`` >= 0 as shares of their sum: 1 to K (all equal). ValueError where all are zero."""
    total = weights.sum()
    if not bool(total > 0):
        raise ValueError("all singular values are zero")
    shares = weights / total + epsilon
    return math.exp(float(-torch.xlogy(shares, shares).sum()))


def rankme(features: Tensor) -> float:
    """RankMe of float ``[N, D]``, not centred: 1 to min(N, D) (Garrido et al. 2023, equations 1 and 2)."""
    return entropy_rank(singular_values(features), EPSILON)


def effective_rank(features: Tensor) -> float:
    """Effective rank of float ``[N, D]`` around its mean: 1 to min(N - 1, D) (Roy and Vetterli 2007, section 2).
    RankMe counts the mean as a direction, and a large common part of the features dominates it; not so here."""
    return entropy_rank(singular_values(features, centred=True))


def alpha_req(features: Tensor) -> float:
    """The exponent of a power law through the eigenvalues of the covariance of float ``[N, D]``.

    eigenvalue(j) ~ j ** -alpha, a line through the logarithms at ranks 3 to 100 (or the last that is not rounding),
    each weighted by 1 / j (Agrawal et al. 2022, section 3, with the fit of Stringer et al. 2019). Near 1 is held to
    be best: below, features are noise; far above, a few directions hold everything. Raises ValueError for fewer than 5.
    """
    eigenvalues = singular_values(features, centred=True).square()
    last = max(ALPHA_FROM - 1, min(ALPHA_TO, int((eigenvalues > 0).sum())))
    ranks = torch.arange(ALPHA_FROM, last + 1, dtype=torch.float64, device=eigenvalues.device)
    if len(ranks) < FEWEST_EIGENVALUES:
        raise ValueError(
            f"{len(ranks)} eigenvalues from rank {ALPHA_FROM} on are not zero; a line needs {FEWEST_EIGENVALUES}"
        )
    x, y, weight = ranks.log(), eigenvalues[ALPHA_FROM - 1 : last].log(), 1 / ranks
    weight = weight / weight.sum()
    x, y = x - (weight * x).sum(), y - (weight * y).sum()
    return -float((weight * x * y).sum() / (weight * x * x).sum())


def directions(features: Tensor) -> Tensor:
    """``[..., D]`` -> float64 of length 1. Raises ValueError where one is zero."""
    values = features.double()
    lengths = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    zeros = int((lengths == 0).sum())
    if zeros:
        raise ValueError(f"{zeros} of {lengths.numel()} feature vectors are zero and have no direction")
    return torch.div(values, lengths)


def alignment(views: Tensor) -> float:
    """Mean squared distance of two views of one image on the unit sphere, over all pairs: 0 (they are equal) to 4
    (Wang and Isola 2020, section 4, with exponent 2). ``views`` float ``[n, q, D]``: q >= 2 views of n images."""
    count = views.shape[1]
    unit = directions(views)
    # The sum over ordered pairs of |a - b|^2 is 2 q sum |a|^2 - 2 |sum a|^2, and lengths are 1.
    distances = 2 * count * count - 2 * unit.sum(dim=1).square().sum(dim=1)
    return float(distances.mean().clamp_min(0) / (count * (count - 1)))


def uniformity(features: Tensor) -> float:
    """log of the mean of exp(-2 |a - b|^2) over pairs of different images on the unit sphere: 0 (one point) down to -4
    in wide spaces (Wang and Isola 2020, section 4, t = 2). ``features`` float ``[N, D]``, N at least 2."""
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
