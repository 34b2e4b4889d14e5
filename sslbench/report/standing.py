"""The rows of one data set in one metric: the best, how the others stand to it, and their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sslbench.report.aggregate import Recipe
from sslbench.report.majority import ACCURACY, BALANCED, facts_of
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import fixed
from sslbench.report.ranking import Comparison
from sslbench.report.text import plural
from sslbench.report.view import KINDS, View

AXES = ("method", "augmentation", "masking", "backbone")
"""kinds by which rows are called that differ in one of them alone"""


@dataclass(frozen=True)
class Standing:
    """Of rows that have the metric, best first."""

    view: View
    metric: MetricColumn
    rows: Sequence[int]
    compared: Mapping[int, Comparison]
    """row -> itself against the best, of all others"""

    @classmethod
    def of(cls, view: View, metric: MetricColumn, rows: Sequence[int]) -> Standing | None:
        """Of those of ``rows``, all of one data set, that have the metric; None where none has."""
        means = view.ranking.means(metric)
        sign = -1 if metric.higher_is_better else 1
        group = sorted((row for row in rows if means[row] is not None), key=lambda row: sign * (means[row] or 0.0))
        if not group:
            return None
        known = {one.other: one for one in view.ranking.compared(metric) if one.best == group[0]}
        if set(known) != set(group[1:]):
            known = {one.other: one for one in view.ranking.against_first(group, metric.label)}
        return cls(view, metric, group, known)

    @property
    def best(self) -> int:
        """The first of them."""
        return self.rows[0]

    @cached_property
    def own(self) -> list[int]:
        """Those that are no baselines."""
        return [row for row in self.rows if not self.recipe(row).is_baseline]

    @cached_property
    def ties(self) -> list[int]:
        """Those that a test does not tell apart from the best, and its equals."""
        return [row for row, one in self.compared.items() if one.tie and (one.test or one.difference.mean == 0)]

    @cached_property
    def untested(self) -> list[int]:
        """Those of which no test says anything."""
        return [row for row, one in self.compared.items() if one.test is None and one.difference.mean != 0]

    @cached_property
    def baselines(self) -> tuple[int | None, int | None]:
        """No training of the best one's network, and the pixels; None where there is none, and where it is the best."""
        networks = self.view.names.of_kind["backbone"]
        untrained = [row for row in self.rows[1:] if self.recipe(row).is_baseline]
        same = (row for row in untrained if networks[row] and networks[row] == networks[self.best])
        return next(same, None), next((row for row in untrained if self.recipe(row).is_of_pixels), None)

    def recipe(self, row: int) -> Recipe:
        """Of a row."""
        return self.view.aggregate.recipes[row]

    @property
    def dataset(self) -> str:
        """Its name."""
        return self.view.names.of_kind["dataset"][self.best]

    @property
    def where(self) -> str:
        """`` on digits``; empty where nobody knows."""
        return f" on {self.dataset}" if self.dataset else ""

    @cached_property
    def axis(self) -> str:
        """The kind in which alone the rows that are no baselines differ; empty where there is no such one."""
        of_kind, own = self.view.names.of_kind, self.own
        differ = [kind for kind in KINDS if kind != "dataset" and len({of_kind[kind][row] for row in own}) > 1]
        return differ[0] if len(differ) == 1 and differ[0] in AXES else ""

    @property
    def rivals(self) -> str:
        """``7 methods on digits``, ``3 maskings for mae on digits``, ``11 recipes on digits`` that differ in more."""
        method = self.view.names.of_kind["method"][self.own[0]]
        whose = f" for {method}" if self.axis not in ("", "method") else ""
        return f"{plural(len(self.own), self.noun)}{whose}{self.where}"

    @property
    def noun(self) -> str:
        """What the rows that are no baselines are called."""
        return self.axis or "recipe"

    def name(self, row: int, *more: str) -> str:
        """A row in words, of a baseline ``no training (random-init convnet-small)``, and ``more`` about it."""
        words = self.view.names.without_dataset(row)
        if not self.recipe(row).is_baseline:
            words = self.view.names.of_kind[self.axis][row] if self.axis else words
            return f"{words} ({'; '.join(more)})" if more else words
        what = "the pixels" if self.recipe(row).is_of_pixels else "no training"
        return f"{what} ({'; '.join([words, *more])})"

    def value(self, row: int) -> str:
        """``87.4% ± 1.5`` over seeds, or ``0.953 ± 0.004 nats``."""
        mean, spread = self.view.ranking.means(self.metric)[row], self.recipe(row).spread(self.metric.label)
        deviation = spread.std if spread and spread.over == "seeds" else None
        if mean is not None and self.is_share:
            return f"{100 * mean:.1f}%" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
        places = self.view.ranking.decimals(self.metric)
        return f"{fixed(mean, places)}{'' if deviation is None else f' ± {fixed(deviation, places)}'}{self.unit}"

    def lead(self, row: int) -> str:
        """By how much the best is better than a row: ``31.7 points``, or ``0.012 nats``."""
        difference = abs(self.compared[row].difference.mean)
        if self.is_share:
            return f"{100 * difference:.1f} points"
        return f"{fixed(difference, self.view.ranking.decimals(self.metric))}{self.unit}"

    def beside(self, row: int) -> str:
        """The best beside a row: ``31.7 points above no training (random-init convnet-small; p 0.002)``."""
        one, way = self.compared[row], "above" if self.is_share else "better than"
        p = "p below 0.001" if (one.corrected or 0) < 0.001 else f"p {one.corrected:.3f}"
        if one.difference.mean == 0:
            return f"equal to {self.name(row)}"
        if one.test is None:
            return f"{self.lead(row)} {way} {self.name(row, 'not tested')}"
        if one.tie:
            return f"not told apart from {self.name(row, f'{self.lead(row)} behind', p)}"
        return f"{self.lead(row)} {way} {self.name(row, p)}"

    @property
    def evidence(self) -> str:
        """``measured on 360 images with 3 seeds``."""
        facts = facts_of(self.recipe(self.best))
        images = f" on {plural(facts.test_images, 'image')}" if facts else ""
        seeds = sorted({self.recipe(row).metrics[self.metric.label].n for row in self.rows})
        words = plural(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
        return f"measured{images} with {words}"

    @property
    def unit(self) -> str:
        """With a blank before it."""
        return f" {self.metric.unit}" if self.metric.unit else ""

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of images with the right class, which is said in percent."""
        return bool(ACCURACY.search(self.metric.name) or BALANCED.search(self.metric.name))
