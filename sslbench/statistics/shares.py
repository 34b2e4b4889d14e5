"""Shares of images that are right, of all and as a mean over classes: intervals, tests, and how many images tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from sslbench.statistics.images import compare_images
from sslbench.statistics.intervals import LEVEL, Difference, Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

POWER = 0.8
"""with which a difference that is there is to be shown"""
RESAMPLES, AT_ONCE = 4_000, 1 << 20
"""and answers held at once"""
OVER_CLASSES = "signs over images, by class"
"""name of the test of two balanced accuracies"""


@dataclass(frozen=True)
class Share:
    """How many of some images were right, 0..1, its interval at ``LEVEL``, and of how many images."""

    value: float
    low: float
    high: float
    images: int

    def __str__(self) -> str:
        return f"{self.value:.1%} (95% interval {self.low:.1%} to {self.high:.1%}, {self.images:,} images)"


def wilson(value: float, n: int) -> Interval:
    """Of a share of ``n`` independent images (Wilson, Journal of the American Statistical Association 22, 1927)."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def accuracy(value: float, n: int) -> Share:
    """A share of ``n`` images with Wilson's interval."""
    interval = wilson(value, n)
    return Share(value, interval.low, interval.high, n)


def balanced_accuracy(right: NDArray[Any], labels: NDArray[Any]) -> Share:
    """The mean over classes of the share of their images that is right; ``right`` ``[N]``, 1 or 0, ``labels`` ``[N]``.
    The interval puts the classes' Wilson intervals together (Zou, Huang and Zhang, Computational Statistics and Data
    Analysis 53, 2009)."""
    shares = [(float(right[labels == label].mean()), int((labels == label).sum())) for label in sorted({*labels})]
    value = sum(share for share, _ in shares) / len(shares)
    intervals = [wilson(share, n) for share, n in shares]
    below = math.hypot(*(share - one.low for (share, _), one in zip(shares, intervals, strict=True))) / len(shares)
    above = math.hypot(*(one.high - share for (share, _), one in zip(shares, intervals, strict=True))) / len(shares)
    return Share(value, max(0.0, value - below), min(1.0, value + above), len(labels))


def above_share(right: int, n: int, share: float) -> float:
    """Two-sided exact binomial p that ``right`` of ``n`` images are no more than a fixed share of them."""
    from scipy.special import bdtr

    if share >= 1:
        return 1.0
    return 1.0 if right <= n * share else min(1.0, 2 * (1 - float(bdtr(right - 1, n, share))))


def blind_p(predicted: NDArray[Any], labels: NDArray[Any]) -> float:
    """Two-sided p of the balanced accuracy, if the answers had nothing to do with the images: how often the same
    answers in another order do as well (Fisher, The Design of Experiments, section 21). At least 2 / (``RESAMPLES`` +
    1). Both int ``[N]``; the orders are the same for the same images."""
    import numpy

    generator = numpy.random.default_rng(0)
    weights = 1 / numpy.bincount(labels)[labels]
    seen = float(weights[predicted == labels].sum())
    at_once, as_well = max(1, AT_ONCE // len(labels)), 0
    for start in range(0, RESAMPLES, at_once):
        orders = numpy.tile(predicted, (min(at_once, RESAMPLES - start), 1))
        matches = generator.permuted(orders, axis=1) == labels
        as_well += int((matches @ weights >= seen - 1e-9).sum())
    return min(1.0, 2 * (as_well + 1) / (RESAMPLES + 1))


def compare_right(
    first: NDArray[Any], second: NDArray[Any], labels: NDArray[Any] | None = None
) -> tuple[Difference, str, int | None]:
    """``first - second`` over the same images, each right (1) or wrong (0), ``[N]``; the name of the test that gave p;
    and about how many images would show the difference that was seen, None where the first is not ahead.

    Of all images by McNemar's test, with the bootstrap's interval; with ``labels`` ``[N]`` of the balanced accuracies,
    by the signs of the images that differ and a bootstrap within classes.
    """
    import numpy

    left, right = (numpy.asarray(values, dtype=numpy.float64) for values in (first, second))
    classes = (
        numpy.zeros(len(left), dtype=numpy.int64) if labels is None else numpy.unique(labels, return_inverse=True)[1]
    )
    differences = left - right
    differing, mean = (class_means(values, classes) for values in (numpy.abs(differences), differences))
    counts = numpy.bincount(classes)
    if labels is None:
        difference, test = compare_images(left, right)
    else:
        difference, test = compare_balanced(differences, classes), OVER_CLASSES
    # Connor's discordant share and difference (Biometrics 43, 1987), class by class.
    scale = len(left) / len(counts) ** 2 / counts
    null, variance = float(scale @ differing), float(scale @ (differing - mean**2))
    return difference, test, images_needed(difference.mean, null, variance)


def class_means(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Of ``[N]`` over the images of each class, 0..C-1, ``[C]``."""
    import numpy

    means: NDArray[Any] = numpy.bincount(classes, weights=values) / numpy.bincount(classes)
    return means


def compare_balanced(differences: NDArray[Any], classes: NDArray[Any]) -> Difference:
    """The mean over classes of differences of 1, 0 and -1, ``[N]``; both by resamples that are the same for the same
    images. p is that of the signs: under no difference each is as likely as its opposite (McNemar's idea)."""
    import numpy

    generator = numpy.random.default_rng(0)
    counts = numpy.bincount(classes)
    ahead, behind = (numpy.bincount(classes[differences == sign], minlength=len(counts)) for sign in (1, -1))
    seen = float(((ahead - behind) / counts).mean())
    signs = (2 * generator.binomial(ahead + behind, 0.5, size=(RESAMPLES, len(counts))) - ahead - behind) / counts
    extreme = int((numpy.abs(signs.mean(axis=1)) >= abs(seen) - 1e-9).sum())
    parts = [
        generator.multinomial(count, [up / count, down / count, 1 - (up + down) / count], size=RESAMPLES) / count
        for count, up, down in zip(counts, ahead, behind, strict=True)
    ]
    means = sum(part[:, 0] - part[:, 1] for part in parts) / len(parts)
    low, high = numpy.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(seen, float(low), float(high), (extreme + 1) / (RESAMPLES + 1), len(differences))


def compare_unpaired(first: Share, second: Share) -> tuple[Difference, str, int | None]:
    """As ``compare_right`` where nobody knows which images are right: of two independent shares, which is the safe side
    for two models on the same images (interval: Newcombe, Statistics in Medicine 17, 1998; p: pooled z; images: Fleiss,
    Statistical Methods for Rates and Proportions, chapter 4)."""
    difference, pooled = first.value - second.value, (first.value + second.value) / 2
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    null = 2 * pooled * (1 - pooled)
    error = math.sqrt(null / first.images)
    p = 1.0 if error == 0 else 2 * NormalDist().cdf(-abs(difference) / error)
    variance = first.value * (1 - first.value) + second.value * (1 - second.value)
    found = Difference(difference, difference - below, difference + above, p, first.images)
    return found, "two shares, not paired", images_needed(difference, null, variance, exact=False)


def images_needed(difference: float, null_variance: float, variance: float, *, exact: bool = True) -> int | None:
    """How many images show a difference at 5%, two-sided, with ``POWER``: of a mean of values with these variances for
    one image, if there is no difference and if there is this one. None where there is none or it is below 0.

    n = ((z_a sqrt(V0) + z_b sqrt(V1)) / d)^2; with McNemar's V0 = discordant share and V1 = that less d^2 it is
    Connor's (Biometrics 43, 1987), with those of two proportions Fleiss's (Statistical Methods for Rates and
    Proportions, chapter 4). An exact test counts in steps of one image and needs about 1/d more (Fleiss, the same).
    """
    if difference <= 0:
        return None
    error, power = (NormalDist().inv_cdf(level) for level in ((1 + LEVEL) / 2, POWER))
    root = error * math.sqrt(max(0.0, null_variance)) + power * math.sqrt(max(0.0, variance))
    return math.ceil(round((root / difference) ** 2 + exact / difference, 6))
