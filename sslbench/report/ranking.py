"""The order of the rows, the best of each metric, and what is not told apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sslbench.report.aggregate import Aggregate
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import decimals
from sslbench.report.ties import not_told_apart, seedless


@dataclass(frozen=True)
class Spread:
    """What stands behind a ±."""

    std: float
    over: Literal["seeds", "draws"]
    """``draws``: of one seed, inside the evaluator"""
    n: int


class Ranking:
    """Rows by index, compared within their data set."""

    def __init__(self, aggregate: Aggregate, datasets: Sequence[str]) -> None:
        self._aggregate = aggregate
        self._datasets = datasets
        self.order = self._sorted()
        """all rows: by data set, then by the first metric, best first"""
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
        return decimals(mean for mean in self.means(column) if mean is not None)

    def spread(self, column: MetricColumn, row: int) -> Spread | None:
        """Of one value: over seeds, else over draws."""
        recipe = self._aggregate.recipes[row]
        estimate, draws = recipe.metrics[column.label], recipe.draws.get(column.label)
        if estimate.std is not None:
            return Spread(estimate.std, "seeds", estimate.n)
        if draws is not None and draws.std is not None:
            return Spread(draws.std, "draws", draws.n or 0)
        return None

    def _sorted(self) -> list[int]:
        ranking = (c for c in self._aggregate.metrics if not c.detail and c.higher_is_better is not None)
        first = next((c for c in ranking if any(mean is not None for mean in self.means(c))), None)
        means = self.means(first) if first else [None] * len(self._datasets)
        sign = -1 if first and first.higher_is_better else 1

        def key(row: int) -> tuple[str, bool, float]:
            mean = means[row]
            return self._datasets[row], mean is None, 0.0 if mean is None else sign * mean

        return sorted(range(len(self._datasets)), key=key)

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
            spread = self.spread(column, top)
            top_values, *other_values = (recipes[row].values(column.label) for row in (top, *others))
            tied = not_told_apart(top_values, other_values, margin=spread.std if spread else 0.0)
            best |= {top, *equal}
            ties |= {row for row, tie in zip(others, tied, strict=True) if tie and row not in equal}
        return best, ties

    @property
    def seedless(self) -> bool:
        """Whether a best value and one that is not as good are the same on every seed."""
        recipes = self._aggregate.recipes
        return any(
            seedless(recipes[top].values(column.label), recipes[row].values(column.label))
            for column in self._aggregate.metrics
            if column.higher_is_better is not None
            for top, *others in self.rivals(column)
            for row in others
            if row not in self.best[column.label]
        )

    @property
    def seeds(self) -> int:
        """The most that a row has."""
        return max((recipe.seeds for recipe in self._aggregate.recipes), default=0)
