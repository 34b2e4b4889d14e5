"""The order of the rows, the best of each metric, and what no test tells apart from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from sslbench.report.aggregate import Aggregate
from sslbench.report.comparisons import ImageMetrics, compare, is_over_seeds
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import decimals
from sslbench.statistics.intervals import Difference, against_the_best, pooled_t

SIGNIFICANT = 0.05
"""p below which two recipes differ"""


@dataclass(frozen=True)
class Comparison:
    """One row against the best one of its metric and data set."""

    best: int
    other: int
    difference: Difference
    """other - best"""
    test: str | None
    """its name and its number of seeds or images; None where nothing could be tested"""
    corrected: float | None
    """p, corrected for the number of pairs that the best was chosen from"""

    @property
    def tie(self) -> bool:
        """Whether the two are not told apart."""
        return self.corrected is None or self.corrected >= SIGNIFICANT


class Ranking:
    """Rows by index, compared within their data set."""

    def __init__(self, aggregate: Aggregate, datasets: Sequence[str], images: ImageMetrics) -> None:
        """``datasets``: in words, of each row."""
        self._aggregate, self._datasets, self._images = aggregate, datasets, images
        self._means: dict[str, list[float | None]] = {}
        self._compared: dict[str, list[Comparison]] = {}
        self.order = self._sorted()
        """all rows: by data set, then by the first metric, best first"""

    def means(self, column: MetricColumn) -> list[float | None]:
        """Of each row."""
        if column.label not in self._means:
            self._means[column.label] = [recipe.metrics[column.label].mean for recipe in self._aggregate.recipes]
        return self._means[column.label]

    def decimals(self, column: MetricColumn) -> int:
        """How many of them a metric's values get."""
        return decimals(self.means(column))

    def first_metric(self, rows: Iterable[int]) -> MetricColumn | None:
        """What these rows are ranked by: the first metric of the main table that any of them has and of which more, or
        less, is better."""
        ranking = [c for c in self._aggregate.metrics if not c.detail and c.higher_is_better is not None]
        rows = list(rows)
        return next((c for c in ranking if any(self.means(c)[row] is not None for row in rows)), None)

    def _sorted(self) -> list[int]:
        first = self.first_metric(range(len(self._aggregate.recipes)))
        sign = -1 if first and first.higher_is_better else 1
        means = [None if mean is None else sign * mean for mean in self.means(first)] if first else []
        keys = [(dataset, mean is None, mean or 0.0) for dataset, mean in zip_longest(self._datasets, means)]
        return sorted(range(len(keys)), key=keys.__getitem__)

    def rivals(self, column: MetricColumn) -> list[list[int]]:
        """Of each data set: the rows that a metric ranks, best first, or the highest where none is better."""
        sign = 1 if column.higher_is_better is False else -1
        keys = {row: sign * mean for row, mean in enumerate(self.means(column)) if mean is not None}
        groups: dict[str, list[int]] = {}
        for row in self.order:
            if row in keys:
                groups.setdefault(self._datasets[row], []).append(row)
        return [sorted(rows, key=keys.__getitem__) for rows in groups.values()]

    def compared(self, column: MetricColumn) -> list[Comparison]:
        """Every row against the best one of its data set; none where neither is better."""
        if column.label not in self._compared:
            groups = self.rivals(column) if column.higher_is_better is not None else []
            self._compared[column.label] = [one for group in groups for one in self.against_first(group, column.label)]
        return self._compared[column.label]

    def against_first(self, group: Sequence[int], label: str) -> list[Comparison]:
        """The others of a group of rows against its first, the best one in this metric."""
        recipes, (best, *others) = self._aggregate.recipes, group
        results = [compare(recipes[other], recipes[best], label, self._images) for other in others]
        tested = {index: result.p for index, (result, _) in enumerate(results) if result.p is not None}
        corrected = dict(zip(tested, against_the_best(list(tested.values())), strict=True))
        over_seeds = [index for index in tested if is_over_seeds(results[index][1])]
        pooled = self._pooled(best, [others[index] for index in over_seeds], label)
        if pooled:
            # A pair that differs alike on every seed is told apart by its own deviation, most others by that of all.
            p = {index: pooled.get(others[index], (own, 0.0)) for index, own in tested.items()}
            together = against_the_best([value for value, _ in p.values()])
            for (index, (_, least)), value in zip(p.items(), together, strict=True):
                corrected[index] = min(2 * corrected[index], max(value, least)) if others[index] in pooled else value
        return [
            Comparison(best, other, *result, corrected.get(index))
            for index, (other, result) in enumerate(zip(others, results, strict=True))
        ]

    def _pooled(self, best: int, others: Sequence[int], label: str) -> dict[int, tuple[float, float]]:
        """``pooled_t`` of the rows that have the seeds of the best one and are compared with it over these."""
        values = {row: self._aggregate.recipes[row].values(label) for row in (best, *others)}
        same = [row for row in others if values[row].keys() == values[best].keys()]
        if not same:
            return {}
        seeds = sorted(values[best])
        block = [[values[row][seed] for seed in seeds] for row in (best, *same)]
        return dict(zip(same, pooled_t(block), strict=True))

    @cached_property
    def best(self) -> dict[str, set[int]]:
        """Label of a metric -> the best rows of each data set with rows to compare."""
        return {
            column.label: {
                row
                for one in self.compared(column)
                for row in (one.best, one.other)
                if row == one.best or self._equal(one, column)
            }
            for column in self._aggregate.metrics
        }

    @cached_property
    def ties(self) -> dict[str, set[int]]:
        """Label of a metric -> rows that are not told apart from the best."""
        return {
            column.label: {one.other for one in self.compared(column) if one.tie and not self._equal(one, column)}
            for column in self._aggregate.metrics
        }

    @cached_property
    def tests(self) -> set[str | None]:
        """Names of the tests that the marks rest on; None among them where something could not be tested."""
        comparisons = [one for column in self._aggregate.metrics for one in self.compared(column)]
        return {one.test and one.test.partition(" (")[0] for one in comparisons}

    @property
    def damaged(self) -> list[str]:
        """A line for each file of metrics of each image that is left out because it is damaged."""
        return self._images.damaged if self.tests else []

    def _equal(self, one: Comparison, column: MetricColumn) -> bool:
        means = self.means(column)
        return means[one.other] == means[one.best]
