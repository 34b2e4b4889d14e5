"""Whether two quantities rise together: Pearson's and Spearman's correlation, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from sslbench.statistics.intervals import LEVEL

FEWEST, FEWEST_FOR_INTERVAL = 3, 4
"""pairs: two always lie on a line, and Fisher's interval divides by n - 3"""


@dataclass(frozen=True)
class Coefficient:
    """A correlation in -1..1 and its interval at ``LEVEL``; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def pearson(first: Sequence[float], second: Sequence[float]) -> Coefficient:
    """Of n pairs of finite numbers. Its interval is Fisher's (Metron 1, 1921), for n >= 4 and pairs not on a line.
    Undefined for n < 3 and where either does not vary. Raises ValueError where there are not as many of both."""
    return with_interval(coefficient(first, second), len(first), 1.0)


def spearman(first: Sequence[float], second: Sequence[float]) -> Coefficient:
    """Pearson's of the ranks, equal values sharing theirs. Its interval is that of Bonett and Wright (Psychometrika
    65, 2000), for n >= 4 and orders that are not the same or opposite. Undefined and raises as ``pearson``."""
    value = coefficient(ranks(first), ranks(second))
    return with_interval(value, len(first), 1 + (value or 0.0) ** 2 / 2)


def coefficient(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation in -1..1; None where it is not defined."""
    if len(first) != len(second):
        raise ValueError(f"correlation of {len(first)} values with {len(second)}")
    if len(first) < FEWEST or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    means = [math.fsum(values) / len(values) for values in (first, second)]
    left, right = [value - means[0] for value in first], [value - means[1] for value in second]
    size = math.sqrt(math.fsum(a * a for a in left)) * math.sqrt(math.fsum(b * b for b in right))
    if size == 0:
        return None
    value = math.fsum(a * b for a, b in zip(left, right, strict=True)) / size
    # Rounding must not make a line less or more than one.
    return math.copysign(1.0, value) if abs(abs(value) - 1) < 1e-12 else value


def ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values have the mean of their ranks."""
    by_value: dict[float, list[int]] = {}
    for rank, value in enumerate(sorted(values), 1):
        by_value.setdefault(value, []).append(rank)
    return [(by_value[value][0] + by_value[value][-1]) / 2 for value in values]


def with_interval(value: float | None, n: int, variance: float) -> Coefficient:
    """``variance``: of the correlation's hyperbolic arctangent, times n - 3."""
    if value is None or n < FEWEST_FOR_INTERVAL or abs(value) == 1:
        return Coefficient(value)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(variance / (n - 3))
    return Coefficient(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))
