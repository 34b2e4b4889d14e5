"""The chosen model beside what needs no such model: constant answers, pixels, untrained networks, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy

from sslbench.advise.defaults import RAW_PIXELS, UNTRAINED
from sslbench.advise.rows import Row
from sslbench.advise.verdict import CHANCE, Against, Evidence
from sslbench.statistics.images import OVER_RIGHT_AND_WRONG
from sslbench.statistics.intervals import Difference, holm
from sslbench.statistics.shares import (
    OVER_CLASSES,
    Share,
    above_share,
    accuracy,
    balanced_accuracy,
    blind_p,
    class_means,
    compare_right,
    compare_unpaired,
    images_needed,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNEQUAL = 2.0
"""images of the largest class for each of the smallest, from which on balanced accuracy counts"""
TESTS = {OVER_RIGHT_AND_WRONG: "McNemar's test", OVER_CLASSES: "sign test by class"}


@dataclass(frozen=True)
class EvaluationImages:
    """The images to evaluate on, and of the others what the rule asks."""

    labels: NDArray[Any]
    """int ``[N]``"""
    classes: Sequence[str]
    fewest: int
    """training images of the class with the fewest"""
    held_out: bool
    """whether they are a part of the only images there are"""
    known: int = 0
    """of them, those that equal an image to train on"""

    @property
    def most_frequent(self) -> int:
        """The class that is the best constant answer."""
        return int(numpy.bincount(self.labels).argmax())

    @property
    def majority(self) -> float:
        """Share of the most frequent class, 0..1: what a constant answer gets."""
        return float((self.labels == self.most_frequent).mean())

    @property
    def constant_answer(self) -> str:
        """In words."""
        return f"always answering {self.classes[self.most_frequent]!r}"

    @property
    def unequal(self) -> bool:
        """Whether classes are so unequal that accuracy says little of the small ones."""
        counts = numpy.bincount(self.labels)
        counts = counts[counts > 0]
        return len(counts) > 1 and bool(counts.max() >= UNEQUAL * counts.min())

    @property
    def in_words(self) -> str:
        """How many, and where classes are unequal how many of the smallest."""
        counts = numpy.bincount(self.labels, minlength=len(self.classes))
        smallest = int(numpy.where(counts > 0, counts, len(self.labels)).argmin())
        few = f", {counts[smallest]:,} of them of {self.classes[smallest]!r}" if self.unequal else ""
        return f"{len(self.labels):,} images to evaluate on{few}"

    def share(self, row: Row) -> Share | None:
        """Of a row's linear probe, by all images."""
        return None if row.linear is None else accuracy(row.linear, len(self.labels))

    def balanced(self, row: Row) -> Share | None:
        """Of a row's linear probe, as the mean over classes; None where classes are about equal, or nobody knows which
        images are right."""
        if not self.unequal or row.right is None:
            return None
        return balanced_accuracy(row.right, self.labels)


def with_intervals(rows: Sequence[Row], best: int | None, images: EvaluationImages) -> list[Row]:
    """The rows with their intervals, what they are beside the chosen one, and a last one for the constant answer."""
    found = [replace(row, share=images.share(row), balanced=images.balanced(row)) for row in rows]
    if best is not None:
        others = [index for index, row in enumerate(found) if index != best and row.linear is not None]
        compared = [compared_with(found[best], found[index], images)[0] for index in others]
        corrected = holm([1.0 if one.p is None else one.p for one in compared])
        for index, one, p in zip(others, compared, corrected, strict=True):
            found[index] = replace(found[index], behind=one, corrected=p, tie=p >= CHANCE)
    constant = (images.labels == images.most_frequent).astype(numpy.uint8)
    return [*found, Row(images.constant_answer, "constant", linear=images.majority, right=constant)]


def evidence_of(
    rows: Sequence[Row], best: int | None, images: EvaluationImages, predicted: NDArray[Any] | None
) -> Evidence:
    """What the decision rule is given. ``predicted``: int ``[N]``, the class that the chosen model gives each test
    image; None where nobody knows."""
    if best is None:
        reason = next(filter(None, (row.reason for row in rows)), "no model could be measured")
        return Evidence("", None, images.fewest, reason=reason)
    row = rows[best]
    baselines = [(other, name) for other in rows if (name := name_of(other, row)) and other.linear is not None]
    return Evidence(
        model=row.label,
        linear=images.share(row),
        labels_a_class=images.fewest,
        curve={labels: drawn.mean for labels, drawn in row.curve.items()},
        balanced=images.balanced(row),
        constant=beside_constant(row, images),
        blind=None if predicted is None else beside_blind(row, images, predicted),
        baselines=[against(row, other, name, images) for other, name in baselines],
        images=images.in_words,
        known=images.known / len(images.labels),
        held_out=images.held_out,
        is_baseline=row.kind == "baseline",
    )


def name_of(row: Row, best: Row) -> str:
    """A baseline of the chosen row as the subject of a sentence; empty for what is none."""
    if row is best or row.kind in ("model", "constant"):
        return ""
    if row.kind == "untrained":
        return "the same network untrained" if row.of == best.label else ""
    if row.kind == "scratch":
        return "a small network trained from scratch"
    names = {RAW_PIXELS: "a linear probe on the pixels", UNTRAINED: "a small untrained network"}
    return names.get(row.label, row.label)


def compared_with(best: Row, other: Row, images: EvaluationImages) -> tuple[Difference, str, int | None]:
    """``best - other`` in what counts on these images; the test in words; how many images would show the difference."""
    if best.right is None or other.right is None or len(best.right) != len(other.right):
        first, second = images.share(best), images.share(other)
        assert first is not None
        assert second is not None
        return compare_unpaired(first, second)
    difference, test, needed = compare_right(best.right, other.right, images.labels if images.unequal else None)
    return difference, TESTS[test], needed


def against(best: Row, other: Row, name: str, images: EvaluationImages) -> Against:
    """The chosen model beside a baseline."""
    difference, test, needed = compared_with(best, other, images)
    share = images.balanced(other) or images.share(other)
    assert share is not None
    return Against(name, share.value, difference, test, needed)


def beside_constant(row: Row, images: EvaluationImages) -> Against:
    """The chosen model beside the best constant answer, by accuracy: that one has no chance in it."""
    n, share = len(images.labels), images.majority
    value = row.linear or 0.0
    interval = accuracy(value, n)
    p = above_share(round(value * n), n, share)
    difference = Difference(value - share, interval.low - share, interval.high - share, p, n)
    needed = images_needed(value - share, share * (1 - share), value * (1 - value))
    return Against(images.constant_answer, share, difference, "exact binomial test", needed)


def beside_blind(row: Row, images: EvaluationImages, predicted: NDArray[Any]) -> Against:
    """The chosen model beside its own answers in any other order, by balanced accuracy."""
    right = (predicted == images.labels).astype(numpy.float64)
    present, classes = numpy.unique(images.labels, return_inverse=True)
    share, chance = balanced_accuracy(right, images.labels), 1 / len(present)
    difference = share.value - chance
    scale = len(classes) / len(present) ** 2 / numpy.bincount(classes)
    answered, recall = (predicted[:, None] == present).mean(axis=0), class_means(right, classes)
    needed = images_needed(
        difference, float(scale @ (answered * (1 - answered))), float(scale @ (recall * (1 - recall)))
    )
    found = Difference(difference, None, None, blind_p(predicted, images.labels), len(classes))
    name = f"answering without looking at the images (balanced accuracy of {len(present)} classes)"
    return Against(name, chance, found, "answers in another order", needed)
