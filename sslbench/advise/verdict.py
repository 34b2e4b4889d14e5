"""What to do next with images that have labels: the decision rule, with the tests that it rests on.

The rule of the tutorial: a linear probe at 90% or more: stop; near 70%: fine-tune with the small learning rate; the
fewer the labels, the less fine-tuning; always beside training from scratch. It is asked only where chance is no
explanation: the probe above the best constant answer, and for more than stopping above every baseline, each by a test
at 5%. Else the verdict is that so few images cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sslbench.statistics.intervals import Difference, holm
from sslbench.statistics.shares import POWER, Share

Verdict = Literal["stop", "another model", "more labels", "fine-tune", "cannot tell", "no test", "undecided"]

ENOUGH = 0.90
"""linear probe from which on there is little left to win"""
TUNABLE = 0.70
"""linear probe near which the rule says that fine-tuning with the small rate helps"""
MARGIN = 0.15
"""below ``TUNABLE`` by more than this is not near it"""
FEW_LABELS = 20
"""labels a class below which fine-tuning mostly learns the training images by heart"""
KNOWN = 0.05
"""share of the images to evaluate on that may equal one to train on"""
CHANCE = 0.05
"""how often chance alone may pass for a difference"""


@dataclass(frozen=True)
class Against:
    """The chosen model beside one that needs no such model."""

    name: str
    """in words, as the subject of a sentence"""
    value: float
    """what it gets, 0..1"""
    difference: Difference
    """of the chosen model less this one"""
    test: str
    """that gave p, in words"""
    images_needed: int | None = None
    """to evaluate on, to show the difference that was seen; None where the model is not ahead"""

    @property
    def ahead(self) -> bool:
        """Whether the chosen model is better, by p and by the interval."""
        p, low = self.difference.p, self.difference.low
        return self.difference.mean > 0 and p is not None and p < CHANCE and (low is None or low > 0)


@dataclass(frozen=True)
class Evidence:
    """What the decision rests on."""

    model: str
    """the chosen model, in words"""
    linear: Share | None
    """of its linear probe; None where it was not measured"""
    labels_a_class: int
    """training labels of the class with the fewest"""
    curve: Mapping[int, float] = field(default_factory=dict)
    """labels a class -> share right with so many"""
    balanced: Share | None = None
    """its balanced accuracy, where classes are so unequal that it is what counts"""
    constant: Against | None = None
    """the most frequent class, whatever the image; by accuracy"""
    blind: Against | None = None
    """the same answers without looking at the images; by balanced accuracy"""
    baselines: Sequence[Against] = ()
    """pixels, untrained networks, training from scratch"""
    images: str = ""
    """how many there are to evaluate on, in words"""
    known: float = 0.0
    """share of them that equals an image to train on, 0..1"""
    held_out: bool = False
    """whether the images to evaluate on are a fifth of the only ones there are"""
    is_baseline: bool = False
    """whether no pretrained model was tried, so that the chosen one is a baseline itself"""
    reason: str = ""
    """why ``linear`` is None"""

    @property
    def chance(self) -> list[Against]:
        """What answers without looking at the images."""
        return [one for one in (self.constant, self.blind) if one is not None]


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
    verdict, headline = ruled(evidence, evidence.balanced or linear)
    return Advice(verdict, headline, tuple(reasons(evidence, linear)))


def ruled(evidence: Evidence, share: Share) -> tuple[Verdict, str]:
    """Verdict and headline; ``share``: what counts."""
    if evidence.known > KNOWN:
        return "no test", (
            f"Nothing can be said: {evidence.known:.0%} of the images to evaluate on equal an image to train on. Take"
            " these out of one of the two."
        )
    counts = [evidence.blind] if evidence.balanced is not None else evidence.chance
    if not counts or not all(one is not None and one.ahead for one in counts):
        return "cannot tell", no_better_than_chance(evidence)
    if share.value >= ENOUGH and all(one.ahead for one in evidence.chance):
        return "stop", enough(share)
    if evidence.is_baseline:
        return "another model", "No pretrained model was tried, and the baselines are not enough: get one first."
    if better := better_baselines(evidence.baselines):
        names = " and ".join(one.name for one in better)
        return "another model", f"On these images this model is worse than {names}: try another, or train on them."
    if not evidence.baselines or not all(one.ahead for one in evidence.baselines):
        return "cannot tell", no_better_than_baselines(evidence)
    if evidence.labels_a_class < FEW_LABELS:
        labels = f"with {evidence.labels_a_class} labels a class, fine-tuning mostly learns them by heart"
        return "more labels", f"Keep the model frozen and label more images: {labels}."
    return "fine-tune", worth_it(share)


def better_baselines(baselines: Sequence[Against]) -> list[Against]:
    """Those that are better than the chosen model by a test, corrected for their number (Holm)."""
    corrected = holm([1.0 if one.difference.p is None else one.difference.p for one in baselines])
    return [one for one, p in zip(baselines, corrected, strict=True) if p < CHANCE and one.difference.mean < 0]


def no_better_than_chance(evidence: Evidence) -> str:
    """The headline where a constant answer may do as well."""
    rivals = [one for one in evidence.chance if not one.ahead]
    start = f"Cannot tell with {evidence.images}"
    if not rivals:
        return f"{start}: nobody knows which of them are right."
    worst = min(rivals, key=lambda one: one.difference.mean)
    if worst.difference.mean <= 0:
        return f"{start}: this is no better than {worst.name}."
    return f"{start}: that it is better than {worst.name} may be chance{enough_to_show(evidence, rivals)}."


def no_better_than_baselines(evidence: Evidence) -> str:
    """The headline where the model may be worth nothing."""
    rivals = [one for one in evidence.baselines if not one.ahead]
    names = " and ".join(one.name for one in rivals) or "baselines (none was measured)"
    return (
        f"Cannot tell with {evidence.images}, whether this model is worth more than"
        f" {names}{enough_to_show(evidence, rivals)}."
    )


def enough_to_show(evidence: Evidence, rivals: Sequence[Against]) -> str:
    """How many images would show the differences that were seen; empty where the model is not ahead of some."""
    needed = [one.images_needed for one in rivals]
    if not needed or None in needed:
        return ""
    most = max(number or 0 for number in needed)
    total = (
        f" ({5 * rounded(most):,} with labels in all, of which a fifth is evaluated on)" if evidence.held_out else ""
    )
    return f"; about {rounded(most):,} images would show a difference as large as this one{total}"


def rounded(number: int) -> int:
    """Up to two digits: the difference that it comes from is not known better."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step


def enough(share: Share) -> str:
    """The headline of ``stop``, with a doubt where the interval reaches below the limit."""
    doubt = ""
    if share.low < ENOUGH:
        doubt = f" (the interval begins at {share.low:.1%}: more images to evaluate on would settle it)"
    return f"Stop here: a linear layer on the frozen model is enough{doubt}. Fine-tuning has little left to win."


def worth_it(share: Share) -> str:
    """The headline of ``fine-tune``."""
    if share.value < TUNABLE - MARGIN:
        far = f"the probe is far from the {TUNABLE:.0%} at which fine-tuning is known to help"
        return f"Fine-tune with the small learning rate, and try another model as well: {far}."
    return "Fine-tune with the small learning rate (backbone a hundredth of the head's), beside training from scratch."


def reasons(evidence: Evidence, linear: Share) -> Iterator[str]:
    """What was measured, what the same labels give without the model, and what the last step of the curve brought."""
    yield f"The linear probe on {evidence.model} gets {linear} right."
    if evidence.balanced is not None:
        share = evidence.balanced
        yield (
            f"The classes are unequal, so that balanced accuracy counts, the mean over classes: {share.value:.1%}"
            f" (95% interval {share.low:.1%} to {share.high:.1%})."
        )
    for one in evidence.chance:
        yield sentence(one)
    for one in evidence.baselines:
        yield sentence(one, " of balanced accuracy" if evidence.balanced is not None else "")
    if len(evidence.curve) > 1:
        before, last = sorted(evidence.curve)[-2:]
        gain = 100 * (evidence.curve[last] - evidence.curve[before])
        yield f"From {before} to {last} labels a class the model gained {gain:.1f} points."


def sentence(one: Against, of: str = "") -> str:
    """A baseline, how far the model is ahead of it, and by which test; ``of`` says what it gets."""
    points, p = 100 * one.difference.mean, one.difference.p
    low, high = one.difference.low, one.difference.high
    beside = f"{abs(points):.1f} points {'ahead' if points > 0 else 'behind'}" if points else "no better"
    tested = [] if low is None or high is None else [f"95% interval {100 * low:+.1f} to {100 * high:+.1f}"]
    tested.append("not tested" if p is None else f"p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}, {one.test}")
    told = "" if one.ahead or (p is not None and p < CHANCE) else ": not told apart"
    if told and one.images_needed:
        told += f"; about {rounded(one.images_needed):,} images would show this difference ({POWER:.0%} power)"
    return f"{capital(one.name)} gets {one.value:.1%}{of}; the model is {beside} ({', '.join(tested)}){told}."


def capital(text: str) -> str:
    """With a capital letter in front."""
    return text[:1].upper() + text[1:]
