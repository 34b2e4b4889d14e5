"""What a person sees of the records: recipes in words, and the columns of the tables, each row a recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.report.aggregate import Aggregate
from sslbench.report.batches import batches_in_words, used_batches
from sslbench.report.comparisons import ImageMetrics
from sslbench.report.data_facts import in_words, warnings
from sslbench.report.majority import NAME, Majority, facts_of, majorities, with_rows
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import NOTHING, fixed, listed, median_and_iqr, percent, three_digits
from sslbench.report.ranking import Ranking
from sslbench.report.rows import Row, shown
from sslbench.report.screen import one_line
from sslbench.report.text import Column, broken, plural
from sslbench.store.current import Unfinished
from sslbench.store.record import DataFacts

KINDS = ("dataset", "method", "augmentation", "masking", "backbone", "training")
"""Columns of words, from left to right. One that says the same on all rows is said above the table instead."""
ALWAYS = "method"
"""the column that is shown even so"""
STATUS_RANK = 100
"""of columns: where there is no room, speeds go first, then the status, then metrics, the one that ranks never"""
JOINED = "method masking"
"""its header where the masking stands in it as well"""
SETTINGS: dict[str, Callable[[Any], str]] = {
    "epochs": lambda value: plural(value, "epoch"),
    "batch_size": lambda value: f"batch {value}",
    "image_size": lambda value: f"{value} px",
    "train_images": lambda value: f"at most {value:,} training images",
    "evaluate_on": lambda value: "evaluated on held-out training images" if value == "validation" else "",
    "device": str,
    "devices": lambda value: plural(value, "device"),
    "precision": str,
    "compile": lambda value: "compiled" if value else "",
    "cuda_graphs": lambda value: "CUDA graphs" if value else "",
}


@dataclass(frozen=True)
class Style:
    """How much room the table takes, and how values of note are marked."""

    gap: int = 2
    broken_headers: bool = False
    """a header that is longer than its cells has two lines"""
    plus_minus: str = " ± "
    leading_zero: bool = True
    join_masking: bool = False
    """the masking beside the method, in one column"""
    wrap: int = 0
    """width at which the words on the left are broken; 0: never"""
    best: str = "*{}"
    tie: str = "={}"


STYLES = (
    Style(),
    Style(2, True),
    Style(2, True, "±"),
    Style(1, True, "±"),
    Style(1, True, "±", leading_zero=False),
    Style(1, True, "±", leading_zero=False, join_masking=True),
    Style(1, True, "±", leading_zero=False, join_masking=True, wrap=13),
)
MARKDOWN = Style(best="**{}**", tie="*{}*")


def setting_in_words(name: str, value: Any) -> str:
    """One of ``SETTINGS``; as it is where it is not what the setting is made of."""
    try:
        return SETTINGS[name](value)
    except (TypeError, ValueError):
        return f"{name}={shown(value)}"


class RecipeNames:
    """The words of each row, by its index."""

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        rows = [recipe.row for recipe in aggregate.recipes]
        self._ratios = {row.axes["mask_ratio"] for row in rows} - {None}
        several = len(self._ratios) > 1
        epochs = Counter(row.epochs for row in rows if isinstance(row.epochs, int))
        self._usual_epochs = epochs.most_common(1)[0][0] if epochs else None
        self.of_kind = {kind: [one_line(self._described(kind, row, several)) for row in rows] for kind in KINDS}
        """kind -> name of each row, with the parameters that tell it from another row's; empty where it has none"""
        different = {kind: len(set(names) - {""}) for kind, names in self.of_kind.items()}
        self.kept = [kind for kind in KINDS if kind == ALWAYS or different[kind] > 1]
        """kinds that are a column of the table"""

    def _described(self, kind: str, row: Row, with_ratio: bool) -> str:
        parameters = self._aggregate.distinguishing[kind, row.name(kind)]
        return row.described(kind, parameters, with_ratio, self._usual_epochs)

    def recipe(self, row: int) -> str:
        """A row in words: what tells it from the others. An augmentation that is called as its method is said once."""
        return " ".join(filter(None, dict.fromkeys(self.of_kind[kind][row] for kind in self.kept)))

    def without_dataset(self, row: int) -> str:
        """The same without the data set."""
        return " ".join(filter(None, dict.fromkeys(self.of_kind[kind][row] for kind in self.kept if kind != "dataset")))

    def columns_of(self, row: int) -> dict[str, str | None]:
        """A row as a program reads it: kind -> name."""
        return {kind: names[row] or None for kind, names in self.of_kind.items()}

    def title(self, suite: str) -> str:
        """What is the same for all rows."""
        recipes = self._aggregate.recipes
        words = [self.of_kind["dataset"][0]] if recipes and "dataset" not in self.kept else []
        seeds = {record.seed for recipe in recipes for record in recipe.row.records}
        if seeds:
            words.append(f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}")
        words += self._settings()
        for kind in ("augmentation", "masking", "backbone"):
            name = next(filter(None, self.of_kind[kind]), None)
            if kind not in self.kept and name:
                words.append(f"{kind} {name}")
        if len(self._ratios) == 1:
            words.append(f"mask ratio {max(self._ratios):g}")
        if not recipes:
            words.append("no results")
        return f"{suite}: {' · '.join(words)}" if suite else " · ".join(words)

    def _settings(self) -> list[str]:
        settings = [recipe.row.params["training"] for recipe in self._aggregate.recipes]
        values = {name: [training[name] for training in settings if name in training] for name in SETTINGS}
        shared = {name: own[0] for name, own in values.items() if own and all(value == own[0] for value in own)}
        words = {name: setting_in_words(name, value) for name, value in shared.items() if value is not None}
        if self._usual_epochs is not None and "epochs" not in shared:
            words = {"epochs": f"{setting_in_words('epochs', self._usual_epochs)} unless a row says others", **words}
        if "batch_size" in words:
            words["batch_size"] = batches_in_words(self._aggregate.recipes, shared["batch_size"])
        return list(filter(None, words.values()))


class View:
    """One rendering. Rows are in the order of the ranking."""

    def __init__(self, aggregate: Aggregate, folder: Path | None = None, unfinished: Sequence[Unfinished] = ()) -> None:
        """``folder``: where the records lie, with the metrics of each image; None where these are not at hand.
        ``unfinished``: what was asked for and is not all there."""
        self.aggregate, self.unfinished = aggregate, unfinished
        self.names = RecipeNames(aggregate)
        self.ranking = Ranking(aggregate, self.names.of_kind["dataset"], ImageMetrics(folder))
        self.order = self.ranking.order
        self.majorities = majorities(aggregate, self.order, self.names.of_kind["dataset"])

    def only(self, rows: Sequence[int]) -> View:
        """The same with these rows alone, ranked and compared among all."""
        part = copy(self)
        part.order = list(rows)
        part.majorities = majorities(self.aggregate, part.order, self.names.of_kind["dataset"])
        return part

    def by_method(self, rows: Sequence[int]) -> dict[str, list[int]]:
        """Method -> those of the rows that are of it."""
        methods: dict[str, list[int]] = {}
        for row in rows:
            methods.setdefault(self.aggregate.recipes[row].row.name("method"), []).append(row)
        return methods

    def columns(self, style: Style) -> list[Column]:
        """Of the main table."""
        metrics = [metric for metric in self.aggregate.metrics if not metric.detail]
        columns = [*self.words(style), *self._metrics(metrics, style), *self._speeds(style)]
        statuses = [self.aggregate.recipes[row].status for row in self.order]
        if len(set(statuses)) > 1 or any("done" not in status or "," in status for status in statuses):
            cells = [broken(status, style.wrap, at_hyphens=True) for status in statuses]
            columns.append(Column("status", cells, rank=STATUS_RANK))
        return self._with_majorities(columns, style)

    @property
    def tables(self) -> list[str]:
        """Titles of the evaluators that have a table of their own, below the main one."""
        return list(dict.fromkeys(column.table for column in self.aggregate.metrics if column.table))

    def columns_of(self, table: str, style: Style) -> list[Column]:
        """Of such a table: all metrics of its evaluator."""
        own = [metric for metric in self.aggregate.metrics if metric.table == table]
        return self._with_majorities(self.words(style) + self._metrics(own, style), style)

    def data_lines(self) -> list[str]:
        """What was looked at, a line for each data set, and for each part of one that some rows look at."""
        return list(dict.fromkeys(in_words(name, facts) for name, facts in self._data()))

    def data_warnings(self) -> list[str]:
        """What to know of it before a figure is believed."""
        lines = [line for name, facts in self._data() for line in warnings(name, facts)]
        for row in self.order if "training" in self.names.kept else ():
            recipe = self.aggregate.recipes[row]
            asked = recipe.row.params["training"].get("batch_size")
            if asked and isinstance(asked, int) and used_batches([recipe]) - {asked}:
                lines.append(f"{self.names.recipe(row)}: {batches_in_words([recipe], asked)}")
        return list(dict.fromkeys(lines))

    def _data(self) -> list[tuple[str, DataFacts]]:
        known = [(row, facts_of(self.aggregate.recipes[row])) for row in self.order]
        return [(self.names.of_kind["dataset"][row], facts) for row, facts in known if facts is not None]

    def _with_majorities(self, columns: Sequence[Column], style: Style) -> list[Column]:
        metrics = {metric.label: metric for metric in self.aggregate.metrics}

        def cell(majority: Majority, column: Column) -> str:
            if metric := metrics.get(column.header):
                return fixed(majority.value(metric.name), self.ranking.decimals(metric), style.leading_zero)
            words = {"dataset": majority.dataset, ALWAYS: NAME, JOINED: NAME}.get(column.header, NOTHING)
            return broken(words, style.wrap, at_hyphens=True)

        return with_rows(columns, self.majorities, cell)

    def words(self, style: Style, rows: Sequence[int] | None = None) -> list[Column]:
        """The columns that say which recipe a line is about; ``rows``: of these, in the place of all."""
        rows = self.order if rows is None else rows
        names = {kind: [self.names.of_kind[kind][row] for row in rows] for kind in self.names.kept}
        headers = {kind: kind for kind in names}
        if style.join_masking and "masking" in names:
            pairs = zip(names[ALWAYS], names.pop("masking"), strict=True)
            names[ALWAYS] = [" ".join(filter(None, pair)) for pair in pairs]
            headers[ALWAYS] = JOINED
        return [
            Column(headers[kind], [broken(name, style.wrap, at_hyphens=True) or NOTHING for name in column])
            for kind, column in names.items()
        ]

    def _metrics(self, metrics: Sequence[MetricColumn], style: Style) -> list[Column]:
        first = next((metric for metric in metrics if metric.higher_is_better is not None), None)
        return [
            Column(metric.label, self._values(metric, style), number=True, rank=0 if metric is first else place)
            for place, metric in enumerate(metrics, 1)
        ]

    def _values(self, metric: MetricColumn, style: Style) -> list[str]:
        means, places = self.ranking.means(metric), self.ranking.decimals(metric)
        cells = []
        for row in self.order:
            text = fixed(means[row], places, style.leading_zero)
            spread = self.aggregate.recipes[row].spread(metric.label)
            if spread:
                text += f"{style.plus_minus}{fixed(spread.std, places, style.leading_zero)}"
                text += "d" if spread.over == "draws" else ""
            if row in self.ranking.best[metric.label]:
                text = style.best.format(text)
            elif row in self.ranking.ties[metric.label]:
                text = style.tie.format(text)
            cells.append(text)
        return cells

    def _speeds(self, style: Style) -> list[Column]:
        def mean(quantity: str) -> list[float | None]:
            return [self.aggregate.recipes[row].speeds[quantity].mean for row in self.order]

        def millions(quantity: str) -> list[str]:
            return [three_digits(None if value is None else value / 1e6) for value in mean(quantity)]

        gap = " " if style.gap > 1 else ""
        steps = zip(mean("step_ms_median"), mean("step_ms_iqr"), strict=True)
        cells = {
            "img/s": map(three_digits, mean("images_per_second")),
            "step ms (IQR)": [median_and_iqr(median, iqr, gap) for median, iqr in steps],
            "wait %": map(percent, mean("data_wait_share")),
            "peak MB": millions("peak_memory_bytes"),
            "MFLOP/img": millions("flops_per_image"),
            "J/img": map(three_digits, mean("joules_per_image")),
            "train s": map(three_digits, mean("pretraining_seconds")),
            "embed img/s": map(three_digits, mean("embed_images_per_second")),
        }
        if not any(mean("joules_per_image")):
            del cells["J/img"]  # most machines do not let users read it
        ranks = range(STATUS_RANK + 1, STATUS_RANK + 1 + len(cells))
        return [
            Column(header, list(column), number=True, rank=rank)
            for rank, (header, column) in zip(ranks, cells.items(), strict=True)
        ]
