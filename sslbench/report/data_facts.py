"""What a run looked at, in words, and what its figures can therefore not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslbench.report.numbers import percent
from sslbench.report.text import plural
from sslbench.statistics.images import smallest_difference
from sslbench.store.record import DataFacts

if TYPE_CHECKING:
    from sslbench.plan.plan import PlannedData

EVALUATED_ON = {"test": "of the test split", "train": "held out of the training split", "all": "others held out"}
"""``DataFacts.evaluated_on`` -> where the images to evaluate on are from"""
FINE = 0.05
"""a set of images that can show no smaller difference in accuracy is named as small"""


def in_words(name: str, facts: DataFacts) -> str:
    """``photos: 80 images to train on, 20 others held out to evaluate on, ...``; ``name``: of the data set."""
    where = EVALUATED_ON.get(facts.evaluated_on or "", "")
    evaluated = " ".join(filter(None, [f"{facts.test_images:,}", where, "to evaluate on"]))
    parts = [
        f"{plural(facts.train_images, 'image')} to train on",
        f"{evaluated}{share_in_words(facts)}",
        f"{facts.classes:,} class{'es' if facts.classes != 1 else ''}" if facts.classes else "no labels",
        size_in_words(facts),
    ]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in facts.left_out.items())
    tail = f"; {sum(facts.left_out.values()):,} left out: {left_out}" if left_out else ""
    return f"{name}: {', '.join(filter(None, parts))}{tail}"


def share_in_words(facts: DataFacts) -> str:
    """`` (97% are 'healthy')``."""
    if facts.majority_share is None:
        return ""
    of_what = f"are {facts.majority_class!r}" if facts.majority_class is not None else "are of the largest class"
    return f" ({percent(facts.majority_share)}% {of_what})"


def size_in_words(facts: DataFacts) -> str:
    """``64 px from 400..1024``."""
    if facts.image_size is None:
        return ""
    sides = f" from {'..'.join(map(str, dict.fromkeys(facts.sides)))}" if facts.sides else ""
    return f"{facts.image_size} px{sides}"


def warnings(name: str, facts: DataFacts) -> list[str]:
    """What to know before a figure of this data set is believed, a line for each."""
    lines = []
    if facts.duplicates:
        lines.append(
            f"{name}: {facts.duplicates:,} of {plural(facts.test_images, 'image')} to evaluate on"
            f" {'equals an image' if facts.duplicates == 1 else 'equal images'} to train on: accuracies can be too"
            " high by as many"
        )
    if facts.repeated:
        lines.append(
            f"{name}: {facts.repeated:,} of {plural(facts.train_images, 'image')} to train on equal earlier ones"
        )
    if facts.contradictory:
        lines.append(f"{name}: {plural(facts.contradictory, 'image')} with an equal one of another class")
    if facts.classes and (text := too_few(facts.test_images)):
        lines.append(f"{name}: {text}")
    return lines


def too_few(images: int) -> str:
    """A line where so many images can show nothing but large differences; else empty."""
    smallest = smallest_difference(images)
    count = plural(images, "image")
    if smallest is None:
        return f"{count} to evaluate on can tell no two recipes apart, whatever their accuracies (McNemar's test, 5%)"
    if smallest <= FINE:
        return ""
    return (
        f"{count} to evaluate on can show no difference in accuracy below {percent(smallest)} points (McNemar's test,"
        " 5%: the better recipe is right wherever the other is), and most real differences have to be larger"
    )


def batch_in_words(used: int, asked: int) -> str:
    """``batch 80 (asked for 256: there are no more images)``."""
    return f"batch {used}" + (f" (asked for {asked}: there are no more images)" if used != asked else "")


def steps_in_words(epochs: int, steps: int) -> str:
    """``1 step an epoch, 8 in all``; ``steps``: in all."""
    return f"{plural(steps // epochs, 'step')} an epoch, {steps:,} in all"


def planned_in_words(data: PlannedData) -> list[str]:
    """What is known of a data set before a run; else that the run says it: to count its images it has to read them."""
    facts, training = data.facts, data.training
    if facts is None:
        return [f"{data.name}: its images are counted when they are read; run says how many there are"]
    batch = max(1, min(training.batch_size, facts.train_images))
    steps = facts.train_images // batch
    lines = [in_words(data.name, facts), *warnings(data.name, facts)]
    if data.epochs:
        counts = [f"{epochs * steps:,}" for epochs in data.epochs]
        in_all = f"{plural(steps, 'step')} an epoch, {' or '.join(counts)} in all"
        lines.append(f"{batch_in_words(batch, training.batch_size)}: {in_all}")
    return lines
