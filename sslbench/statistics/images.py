"""Two models on the same test images: what one training each can tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sslbench.statistics.intervals import LEVEL, Difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
MOST_VALUES = 32
"""different values that are resampled; more are put together with their neighbours, which keeps their mean and
all but a hundredth of their variance"""
OVER_RIGHT_AND_WRONG, OVER_SHARES = "McNemar over images", "bootstrap over images"
"""names of the tests"""


def compare_images(first: ArrayLike, second: ArrayLike) -> tuple[Difference, str]:
    """``first - second`` over the same images, both ``[N]``, float, with the bootstrap's interval; and the test that
    gave p: McNemar's where both are right or wrong on each image, elsewhere the bootstrap. Another training of either
    may differ by more. Raises ValueError for no image, or for two numbers of them."""
    import numpy

    left, right = (numpy.asarray(values, dtype=numpy.float64) for values in (first, second))
    if left.shape != right.shape or left.ndim != 1 or left.size == 0:
        raise ValueError(f"metrics of images of shapes {left.shape} and {right.shape}; they must be equal, not empty")
    differences = left - right
    low, high, p = bootstrap(differences)
    test = OVER_SHARES
    if all(((values == 0) | (values == 1)).all() for values in (left, right)):
        p = mcnemar_exact(int((differences > 0).sum()), int((differences < 0).sum()))
        test = OVER_RIGHT_AND_WRONG
    return Difference(float(differences.mean()), low, high, p, len(differences)), test


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p that two classifiers are right equally often (McNemar, Psychometrika 12, 1947, with binomial tails),
    from the images that only one of them has right."""
    from scipy.special import bdtr

    fewer, both = min(only_first, only_second), only_first + only_second
    return 1.0 if both == 0 else min(1.0, 2 * float(bdtr(fewer, both, 0.5)))


def smallest_difference(images: int, level: float = LEVEL) -> float | None:
    """The smallest difference of two accuracies, 0..1, that ``mcnemar_exact`` can tell from none with so many images:
    that of a classifier which is right wherever the other one is. None where even all images are too few."""
    # Of n images that one alone has right, p is 2 * 2 ** -n.
    fewest = math.ceil(1 - math.log2(1 - level))
    return fewest / images if images >= fewest else None


def bootstrap(differences: NDArray[Any]) -> tuple[float, float, float]:
    """Percentile interval of the mean at ``LEVEL`` and two-sided p, at least 2 / (``RESAMPLES`` + 1) (Efron and
    Tibshirani 1993, chapters 13 and 16), and never below that of the signs of the differences that are not 0; the
    resamples are the same for the same differences."""
    import numpy

    generator = numpy.random.default_rng(0)
    # A resample is how often each value is drawn, which is cheap where few differ, as right and wrong do.
    values, counts = grouped(differences)
    draws = generator.multinomial(len(differences), counts / len(differences), size=RESAMPLES)
    means = draws @ values / len(differences)
    low, high = numpy.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    # Resamples of a few images that differ take these for all that could: by signs alone, n of one kind have 2 / 2^n.
    signs = 2.0 ** (1 - int((differences != 0).sum()))
    return float(low), float(high), min(1.0, max(signs, 2 * (beyond + 1) / (RESAMPLES + 1)))


def grouped(differences: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """At most ``MOST_VALUES`` values and how many of ``[N]`` each stands for."""
    import numpy

    values, counts = numpy.unique(differences, return_counts=True)
    if len(values) <= MOST_VALUES:
        return values, counts
    parts = numpy.array_split(numpy.sort(differences), MOST_VALUES)
    return numpy.array([part.mean() for part in parts]), numpy.array([len(part) for part in parts])
