"""Which images are alike, and which are like no other: by the cosine of their features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SIMILARITIES = 1 << 24
"""cosines in memory at once: 64 MiB of float32"""
LEAST, MOST = 0.01, 1.0
"""bounds of the shrinkage of ``whitened``, in mean variances"""


@dataclass(frozen=True)
class Neighbours:
    """The k most similar other images of each, the nearest first."""

    cosine: Tensor
    """float32 ``[N, k]``, -1..1"""
    index: Tensor
    """int64 ``[N, k]``"""


def neighbours(features: Tensor, k: int) -> Neighbours:
    """Float ``[N, D]``, finite, N at least 2; k at most N - 1. What all images share, the mean, is taken away first:
    features of networks that end in a ReLU all point into one octant, where all cosines are large.

    An image whose features are the mean has cosine 0 with all others.
    """
    directions = functional.normalize(features.float() - features.float().mean(dim=0), dim=1)
    nearest = []
    images = torch.arange(len(features), device=features.device)
    for chunk in torch.split(images, max(1, SIMILARITIES // len(features))):
        cosine = directions[chunk] @ directions.T
        cosine[torch.arange(len(chunk), device=chunk.device), chunk] = -torch.inf
        nearest.append(cosine.topk(k, dim=1))
    cosines = torch.cat([top.values for top in nearest]).clamp_(-1, 1)
    return Neighbours(cosines, torch.cat([top.indices for top in nearest]))


def whitened(features: Tensor, shrinkage: float | None = None) -> Tensor:
    """Float ``[N, D]``, finite -> float32 ``[N, D]``: mean 0, and directions of equal variance, so that none dominates.

    Those in which classes differ dominate the cosines of trained features. ``shrinkage``, in mean variances, is added
    to each variance before it is divided out; by default D / 2N within ``LEAST`` and ``MOST``, since with few images
    most directions are their noise (chosen on planted copies, docs/log.md).
    """
    count, width = features.shape
    added = min(MOST, max(LEAST, width / (2 * count))) if shrinkage is None else shrinkage
    centred = features.double() - features.double().mean(dim=0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / count)
    variances = variances.clamp_min(0)
    scale = variances + added * variances.mean()
    smallest = torch.finfo(torch.float64).tiny
    result: Tensor = centred @ directions / scale.clamp_min(smallest).sqrt()
    return result.float()


def near_pairs(nearest: Neighbours, threshold: float) -> list[tuple[int, int, float]]:
    """Pairs (i, j, cosine), i < j, whose cosine is at least ``threshold``, the most similar first; each image's pairs
    are sought among its k neighbours."""
    rows, columns = (nearest.cosine >= threshold).nonzero(as_tuple=True)
    other = nearest.index[rows, columns]
    values = nearest.cosine[rows, columns]
    triples = zip(rows.tolist(), other.tolist(), values.tolist(), strict=True)
    pairs = {(min(i, j), max(i, j)): value for i, j, value in triples}
    return sorted(((i, j, value) for (i, j), value in pairs.items()), key=lambda pair: (-pair[2], pair[:2]))


@dataclass(frozen=True)
class Outlier:
    """An image that is far from its nearest others."""

    index: int
    distance: float
    """mean of 1 - cosine to the k nearest others"""
    deviations: float
    """how far that lies above the median image's, in (scaled) median absolute deviations"""


def outliers(nearest: Neighbours, count: int) -> list[Outlier]:
    """The ``count`` images that are farthest from their nearest others, the farthest first.

    The scale is 1.4826 times the median absolute deviation, the standard deviation of a normal distribution (Rousseeuw
    and Croux 1993, Alternatives to the Median Absolute Deviation); 0 where all distances are equal.
    """
    distance = 1 - nearest.cosine.mean(dim=1)
    middle = distance.median()
    scale = 1.4826 * (distance - middle).abs().median()
    deviations = (distance - middle) / scale if bool(scale > 0) else torch.zeros_like(distance)
    order = distance.argsort(descending=True, stable=True)[:count].tolist()
    return [Outlier(index, float(distance[index]), float(deviations[index])) for index in order]
