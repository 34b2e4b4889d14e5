"""What to do next with images that have labels: the decision rule, with the numbers that it rests on.

The rule of the tutorial: a linear probe at 90% or more: stop; near 70%: fine-tune with the small learning rate; the
fewer the labels, the less fine-tuning; always beside training from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["stop", "another model", "more labels", "fine-tune", "undecided"]

ENOUGH = 0.90
"""linear probe from which on there is little left to win"""
TUNABLE = 0.70
"""linear probe near which the rule says that fine-tuning with the small rate helps"""
MARGIN = 0.15
"""below ``TUNABLE`` by more than this is not near it"""
FEW_LABELS = 20
"""labels a class below which fine-tuning mostly learns the training images by heart"""
NORMAL = 1.959963984540054
"""97.5% quantile of the standard normal distribution"""


@dataclass(frozen=True)
class Share:
    """How many of some images were right, 0..1, and of how many."""

    value: float
    images: int

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of Wilson 1927 for a share of independent images."""
        n, z = self.images, NORMAL
        middle = (self.value + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.value * (1 - self.value) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} (95% interval {low:.1%} to {high:.1%}, {self.images:,} images)"


@dataclass(frozen=True)
class Evidence:
    """What the decision rests on."""

    model: str
    """the chosen model, in words"""
    linear: Share | None
    """of its linear probe; None where it was not measured"""
    labels_a_class: int
    """training labels of the class with the fewest"""
    curve: Mapping[int, float]
    """labels a class -> share right with so many"""
    pixels: Share | None = None
    """a linear probe on the pixels themselves"""
    scratch: Share | None = None
    """a small network trained from scratch on all labels"""
    is_baseline: bool = False
    """whether no pretrained model was tried, so that the chosen one is a baseline itself"""
    reason: str = ""
    """why ``linear`` is None"""


@dataclass(frozen=True)
class Advice:
    """The verdict in one sentence, and what speaks for it."""

    verdict: Verdict
    headline: str
    reasons: tuple[str, ...]


def decide(evidence: Evidence) -> Advice:
    """The rule, from its first case to its last."""
    linear = evidence.linear
    if linear is None:
        return Advice("undecided", f"Nothing can be said: {evidence.reason}.", ())
    reasons = (f"The linear probe on {evidence.model} gets {linear} right.", *further_reasons(evidence))
    if linear.value >= ENOUGH:
        return Advice("stop", enough(linear), reasons)
    if evidence.is_baseline:
        headline = "No pretrained model was tried, and the baselines are not enough: get one before anything else."
        return Advice("another model", headline, reasons)
    best = max((share.value for share in (evidence.pixels, evidence.scratch) if share is not None), default=-1.0)
    if best >= linear.value:
        headline = "This model gives these images nothing that they do not have without it"
        return Advice("another model", f"{headline}: try another, or train on them.", reasons)
    if evidence.labels_a_class < FEW_LABELS:
        labels = f"with {evidence.labels_a_class} labels a class, fine-tuning mostly learns them by heart"
        return Advice("more labels", f"Keep the model frozen and label more images: {labels}.", reasons)
    return Advice("fine-tune", worth_it(linear), reasons)


def enough(linear: Share) -> str:
    """The headline of ``stop``, with a doubt where the interval reaches below the limit."""
    low = linear.interval[0]
    doubt = "" if low >= ENOUGH else f" (the interval begins at {low:.1%}: more images to evaluate on would settle it)"
    return f"Stop here: a linear layer on the frozen model is enough{doubt}. Fine-tuning has little left to win."


def worth_it(linear: Share) -> str:
    """The headline of ``fine-tune``."""
    if linear.value < TUNABLE - MARGIN:
        far = f"the probe is far from the {TUNABLE:.0%} at which fine-tuning is known to help"
        return f"Fine-tune with the small learning rate, and try another model as well: {far}."
    return "Fine-tune with the small learning rate (backbone a hundredth of the head's), beside training from scratch."


def further_reasons(evidence: Evidence) -> Iterator[str]:
    """What the same labels give without the model, and what the last step of the curve brought."""
    if evidence.scratch is not None:
        yield f"A small network trained from scratch on the same labels gets {evidence.scratch.value:.1%}."
    if evidence.pixels is not None:
        yield f"The same probe on the pixels themselves gets {evidence.pixels.value:.1%}."
    if len(evidence.curve) > 1:
        before, last = sorted(evidence.curve)[-2:]
        gain = 100 * (evidence.curve[last] - evidence.curve[before])
        step = f"From {before} to {last} labels a class the model gained {gain:.1f} points"
        yield f"{step}: more labels will {'help' if gain >= 1 else 'hardly help'}."
