"""How many directions features use, computed from their singular values alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-7
"""RankMe's constant, added to each share"""
ALPHA_FROM, ALPHA_TO = 3, 100
"""ranks of the eigenvalues that alpha-ReQ's line is fitted through; the first few do not lie on it"""
FEWEST_EIGENVALUES = 5


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
    """exp of the entropy of non-negative ``[K]`` as shares of their sum: 1 (one of them is all) to K (all equal).

    Raises ValueError where all are zero.
    """
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

    RankMe counts the mean as a direction; this does not, so that a large common part of the features does not
    dominate it.
    """
    return entropy_rank(singular_values(features, centred=True))


def alpha_req(features: Tensor) -> float:
    """The exponent of a power law through the eigenvalues of the covariance of float ``[N, D]``.

    eigenvalue(j) ~ j ** -alpha, a line through the logarithms at ranks 3 to 100 (or the last that is not rounding),
    each weighted by 1 / j (Agrawal et al. 2022, section 3, with the fit of Stringer et al. 2019). Near 1 is held to
    be best: below, features are noise; far above, a few directions hold everything. Raises ValueError where fewer
    than 5 eigenvalues are left to fit.
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
