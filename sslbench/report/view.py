"""What a person sees of the records: the columns of the tables, each row a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.report.aggregate import Aggregate
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.names import ALWAYS, RecipeNames
from sslbench.report.numbers import NOTHING, fixed, median_and_iqr, percent, three_digits
from sslbench.report.ranking import Ranking
from sslbench.report.styles import Marks, Style
from sslbench.report.text import Column, broken


class View:
    """One rendering. Rows are in the order of the ranking."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self.names = RecipeNames(aggregate)
        self.ranking = Ranking(aggregate, self.names.of_kind["dataset"])
        self.order = self.ranking.order

    def columns(self, style: Style, marks: Marks) -> list[Column]:
        """Of the main table, with marks on the best values and on those not told apart from them."""
        columns = self.words(style)
        columns += self._metrics([column for column in self.aggregate.metrics if not column.detail], style, marks)
        columns += self._speeds(style)
        statuses = [self.aggregate.recipes[row].status for row in self.order]
        if len(set(statuses)) > 1 or any("done" not in status or "," in status for status in statuses):
            columns.append(Column("status", [broken(status, style.wrap, at_hyphens=True) for status in statuses]))
        return columns

    @property
    def tables(self) -> list[str]:
        """Titles of the evaluators that have a table of their own, below the main one."""
        return list(dict.fromkeys(column.table for column in self.aggregate.metrics if column.table))

    def columns_of(self, table: str, style: Style, marks: Marks) -> list[Column]:
        """Of such a table: all metrics of its evaluator."""
        own = [column for column in self.aggregate.metrics if column.table == table]
        return self.words(style) + self._metrics(own, style, marks)

    def words(self, style: Style, rows: Sequence[int] | None = None) -> list[Column]:
        """The columns that say which recipe a line is about; ``rows``: of these, in the place of all."""
        rows = self.order if rows is None else rows
        names = {kind: [self.names.of_kind[kind][row] for row in rows] for kind in self.names.kept}
        headers = {kind: kind for kind in names}
        if style.join_masking and "masking" in names:
            pairs = zip(names[ALWAYS], names.pop("masking"), strict=True)
            names[ALWAYS] = [" ".join(filter(None, pair)) for pair in pairs]
            headers[ALWAYS] = "method masking"
        return [
            Column(headers[kind], [broken(name, style.wrap, at_hyphens=True) or NOTHING for name in column])
            for kind, column in names.items()
        ]

    def _metrics(self, metrics: Sequence[MetricColumn], style: Style, marks: Marks) -> list[Column]:
        return [Column(metric.label, self._values(metric, style, marks), number=True) for metric in metrics]

    def _values(self, metric: MetricColumn, style: Style, marks: Marks) -> list[str]:
        means = self.ranking.means(metric)
        places = self.ranking.decimals(metric)
        cells = []
        for row in self.order:
            mean = means[row]
            if mean is None:
                cells.append(NOTHING)
                continue
            text = fixed(mean, places, style.leading_zero)
            spread = self.ranking.spread(metric, row)
            if spread:
                text += f"{style.plus_minus}{fixed(spread.std, places, style.leading_zero)}"
                text += "d" if spread.over == "draws" else ""
            if row in self.ranking.best[metric.label]:
                text = marks.best(text)
            elif row in self.ranking.ties[metric.label]:
                text = marks.tie(text)
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
            "train s": map(three_digits, mean("pretraining_seconds")),
            "embed img/s": map(three_digits, mean("embed_images_per_second")),
        }
        return [Column(header, list(column), number=True) for header, column in cells.items()]
