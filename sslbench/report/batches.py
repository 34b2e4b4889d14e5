"""The batches and steps that trainings took, which may be others than those that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sslbench.report.aggregate import Recipe
from sslbench.report.data_facts import batch_in_words, steps_in_words
from sslbench.report.text import plural
from sslbench.store.record import TrainingFacts


def trainings(recipes: Iterable[Recipe]) -> list[TrainingFacts]:
    """Those that took steps."""
    known = [record.pretraining for recipe in recipes for record in recipe.row.records if record.pretraining]
    return [training for training in known if training.batch_size and training.epochs and training.steps]


def used_batches(recipes: Iterable[Recipe]) -> set[int]:
    """Sizes of the batches that were used."""
    return {training.batch_size or 0 for training in trainings(recipes)}


def batches_in_words(recipes: Sequence[Recipe], asked: int) -> str:
    """``batch 80 (asked for 256: ...) · 1 step an epoch, 8 in all``, the steps where all trainings took as many, in an
    epoch or in all."""
    words = [batch_in_words(used, asked) for used in sorted(used_batches(recipes))] or [f"batch {asked}"]
    steps = {(training.epochs or 1, training.steps or 0) for training in trainings(recipes)}
    an_epoch = {in_all // epochs for epochs, in_all in steps}
    if len(steps) == 1:
        words += [steps_in_words(*one) for one in steps]
    elif len(an_epoch) == 1:
        words.append(f"{plural(max(an_epoch), 'step')} an epoch")
    return " · ".join(words)
