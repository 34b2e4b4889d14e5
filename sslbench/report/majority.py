"""What a constant answer gets: the share of the most frequent class, beside every accuracy on class labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sslbench.report.aggregate import Aggregate, Recipe
from sslbench.report.data_facts import share_in_words
from sslbench.report.numbers import fixed
from sslbench.report.text import Column
from sslbench.store.record import DataFacts

NAME = "majority"
LEGEND = f"{NAME}: what a constant answer gets, the most frequent class of the images to evaluate on"
ACCURACY, BALANCED = re.compile(r"(^|_)top1(@|$)"), re.compile(r"(^|_)balanced(@|$)")
"""names of metrics that are a share of images with the right class, and the mean of that over classes"""


@dataclass(frozen=True)
class Majority:
    """The constant answer on one data set."""

    dataset: str
    facts: DataFacts
    after: int
    """rows of the table that stand before it"""

    def value(self, metric: str) -> float | None:
        """Of a metric by its name, 0..1; None for one that is no accuracy on class labels."""
        if ACCURACY.search(metric):
            return self.facts.majority_share
        if BALANCED.search(metric) and self.facts.classes_evaluated:
            return 1 / self.facts.classes_evaluated
        return None


def facts_of(recipe: Recipe) -> DataFacts | None:
    """What a row looked at, by its newest record; None where nobody wrote it down."""
    known = [record for record in recipe.row.records if record.data is not None]
    return max(known, key=lambda record: record.made).data if known else None


def majorities(aggregate: Aggregate, order: Sequence[int], datasets: Sequence[str]) -> list[Majority]:
    """One for each data set whose rows have an accuracy, and for each share where rows of one look at other images.

    ``order``: the rows from top to bottom; ``datasets``: name of each row's.
    """
    if not any(ACCURACY.search(metric.name) for metric in aggregate.metrics):
        return []
    found: dict[tuple[str, str | None, float], Majority] = {}
    for place, row in enumerate(order, 1):
        facts = facts_of(aggregate.recipes[row])
        if facts is not None and facts.majority_share is not None:
            dataset = datasets[row]
            found[dataset, facts.majority_class, facts.majority_share] = Majority(dataset, facts, place)
    last = {majority.dataset: majority.after for majority in found.values()}
    ends = {name: max(m.after for m in found.values() if m.dataset == name) for name in last}
    return [replace(majority, after=ends[majority.dataset]) for majority in found.values()]


def with_rows(
    columns: Sequence[Column], rows: Sequence[Majority], cell: Callable[[Majority, Column], str]
) -> list[Column]:
    """The columns with a row for each of ``rows``, below those of its data set; ``cell``: what it holds."""
    full = []
    for column in columns:
        cells = list(column.cells)
        for row in reversed(rows):
            cells.insert(row.after, cell(row, column))
        full.append(replace(column, cells=cells))
    return full


def in_words(majority: Majority) -> str:
    """``majority on digits: 0.103 (10% are '3')``: for what has no row for it."""
    return f"{NAME} on {majority.dataset}: {fixed(majority.facts.majority_share, 3)}{share_in_words(majority.facts)}"
