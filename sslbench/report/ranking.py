"""The order of the rows, the best of each metric, and what is not told apart from it by the seeds there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from statistics import fmean

from sslbench.report.aggregate import Aggregate
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import decimals
from sslbench.statistics.intervals import Difference, holm, paired_t

SIGNIFICANT = 0.05
"""p below which two recipes differ"""
Seeds = Mapping[int, float]
"""seed -> value"""


class Ranking:
    """Rows by index, compared within their data set."""

    def __init__(self, aggregate: Aggregate, datasets: Sequence[str]) -> None:
        self._aggregate = aggregate
        self._datasets = datasets
        self.order = self._sorted()
        """all rows: by data set, then by the first metric, best first"""
        self.seedless = False
        """whether a best value and one that is not as good are the same on every seed"""
        ranked = {column.label: self._ranked(column) for column in aggregate.metrics}
        self.best = {label: best for label, (best, _) in ranked.items()}
        """label of a metric -> the best rows of each data set with rows to compare"""
        self.ties = {label: ties for label, (_, ties) in ranked.items()}
        """label of a metric -> rows that are not told apart from the best"""

    def means(self, column: MetricColumn) -> list[float | None]:
        """Of each row."""
        return [recipe.metrics[column.label].mean for recipe in self._aggregate.recipes]

    def decimals(self, column: MetricColumn) -> int:
        """How many of them a metric's values get."""
        return decimals(self.means(column))

    def _sorted(self) -> list[int]:
        ranking = (c for c in self._aggregate.metrics if not c.detail and c.higher_is_better is not None)
        first = next((c for c in ranking if any(mean is not None for mean in self.means(c))), None)
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

    def _ranked(self, column: MetricColumn) -> tuple[set[int], set[int]]:
        means, recipes = self.means(column), self._aggregate.recipes
        best: set[int] = set()
        ties: set[int] = set()
        for top, *others in self.rivals(column):
            if not others or column.higher_is_better is None:
                continue
            equal = {row for row in others if means[row] == means[top]}
            spread = recipes[top].spread(column.label)
            top_values, *other_values = (recipes[row].values(column.label) for row in (top, *others))
            tied = not_told_apart(top_values, other_values, margin=(spread.std or 0.0) if spread else 0.0)
            best |= {top, *equal}
            ties |= {row for row, tie in zip(others, tied, strict=True) if tie and row not in equal}
            worse = [values for row, values in zip(others, other_values, strict=True) if row not in equal]
            self.seedless = self.seedless or any(seedless(top_values, values) for values in worse)
        return best, ties


def over_seeds(first: Seeds, second: Seeds) -> Difference | None:
    """``first - second`` over the seeds that both have, with the paired t-test; None where they share none."""
    shared = sorted(first.keys() & second.keys())
    return paired_t([first[seed] - second[seed] for seed in shared]) if shared else None


def not_told_apart(best: Seeds, others: Sequence[Seeds], margin: float) -> list[bool]:
    """Whether each of the others is a tie with the best: where they share two seeds or more, and the seed makes a
    difference, by the paired t-test with Holm's correction for their number; elsewhere if the means lie within
    ``margin``."""
    tested = {index: p for index, other in enumerate(others) if (p := p_over_seeds(best, other)) is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        corrected[index] >= SIGNIFICANT
        if index in corrected
        else abs(fmean(best.values()) - fmean(other.values())) <= margin
        for index, other in enumerate(others)
    ]


def p_over_seeds(first: Seeds, second: Seeds) -> float | None:
    """Of the paired t-test; None where seeds say nothing: fewer than two are shared, or all give the same values."""
    difference = over_seeds(first, second)
    if difference is None or difference.n < 2 or seedless(first, second):
        return None
    # The same difference on every seed has no spread. Shares of a few hundred images do so by chance: the signs alone
    # are believed (Fisher, The Design of Experiments, section 21).
    return 2.0 ** (1 - difference.n) if difference.p is None else difference.p


def seedless(first: Seeds, second: Seeds) -> bool:
    """Whether two seeds and more change neither: models that somebody else trained, evaluated without randomness."""
    return all(len(values) > 1 and len(set(values.values())) == 1 for values in (first, second))
