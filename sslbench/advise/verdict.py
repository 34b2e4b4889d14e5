"""What to do next with images that have labels: the decision rule, with the figures that it rests on.

The rule of the tutorial: a linear probe at 90% or more: stop; near 70%: fine-tune with the small learning rate; the
fewer the labels, the less fine-tuning; always beside training from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["stop", "another model", "more labels", "fine-tune", "undecided"]

ENOUGH = 0.90
"""linear probe from which on there is little left to win"""
NEAR = 0.70
"""linear probe of which the rule says that fine-tuning with the small rate helps"""
FAR = 0.15
"""below ``NEAR`` by more than this is not near it"""
FEW = 20
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
class Figures:
    """What the decision rests on."""

    model: str
    """the chosen model, in words"""
    linear: Share | None
    """of its linear probe; None where there is no figure"""
    labels_a_class: int
    """labels to learn from, of the class with the fewest"""
    curve: Mapping[int, float]
    """labels a class -> share right with so many"""
    pixels: Share | None = None
    """a linear probe on the pixels themselves"""
    scratch: Share | None = None
    """a small network trained from scratch on all labels"""
    is_baseline: bool = False
    """whether no pretrained model was tried, so that the chosen one is a baseline itself"""
    reason: str = ""
    """why there is no figure"""


@dataclass(frozen=True)
class Advice:
    """The verdict in one sentence, and what speaks for it."""

    verdict: Verdict
    headline: str
    reasons: tuple[str, ...]


def decide(figures: Figures) -> Advice:
    """The rule, from its first case to its last."""
    if figures.linear is None:
        return Advice("undecided", f"Nothing can be said: {figures.reason}.", ())
    reasons = (f"The linear probe on {figures.model} gets {figures.linear} right.", *beside(figures), *slope(figures))
    if figures.linear.value >= ENOUGH:
        return Advice("stop", enough(figures.linear), reasons)
    best = max(filter(None, (figures.pixels, figures.scratch)), key=lambda share: share.value, default=None)
    if figures.is_baseline:
        what = "No pretrained model was tried, and the baselines are not enough: get one before anything else."
        return Advice("another model", what, reasons)
    if best is not None and best.value >= figures.linear.value:
        what = "This model gives these images nothing that they do not have without it: try another, or train on them."
        return Advice("another model", what, reasons)
    if figures.labels_a_class < FEW:
        what = (
            f"Keep the model frozen and label more images: with {figures.labels_a_class} labels a class, fine-tuning"
            " mostly learns them by heart."
        )
        return Advice("more labels", what, reasons)
    return Advice("fine-tune", worth_it(figures.linear), reasons)


def enough(linear: Share) -> str:
    low = linear.interval[0]
    doubt = "" if low >= ENOUGH else f" (the interval begins at {low:.1%}: more images to judge on would settle it)"
    return f"Stop here: a linear layer on the frozen model is enough{doubt}. Fine-tuning has little left to win."


def worth_it(linear: Share) -> str:
    if linear.value < NEAR - FAR:
        return (
            "Fine-tune with the small learning rate, and try another model as well: the probe is far from the"
            f" {NEAR:.0%} at which fine-tuning is known to help."
        )
    return "Fine-tune with the small learning rate (backbone a hundredth of the head's), beside training from scratch."


def beside(figures: Figures) -> tuple[str, ...]:
    """What the same labels give without the model."""
    found = []
    if figures.scratch is not None:
        found.append(f"A small network trained from scratch on the same labels gets {figures.scratch.value:.1%}.")
    if figures.pixels is not None:
        found.append(f"The same probe on the pixels themselves gets {figures.pixels.value:.1%}.")
    return tuple(found)


def slope(figures: Figures) -> tuple[str, ...]:
    """What the last step of the curve brought."""
    if len(figures.curve) < 2:
        return ()
    before, last = sorted(figures.curve)[-2:]
    gain = 100 * (figures.curve[last] - figures.curve[before])
    what = f"From {before} to {last} labels a class the model gained {gain:.1f} points"
    return (f"{what}: more labels will help." if gain >= 1 else f"{what}: more labels will hardly help.",)
