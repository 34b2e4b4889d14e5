"""Records -> one recipe a row, over its seeds, and all that is not in the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sslbench.report.metric_columns import MetricColumn, MetricColumns, Sample, samples_of
from sslbench.report.problems import Problem, images_skipped, problems_of
from sslbench.report.recipes import Recipe, summarise
from sslbench.report.rows import distinguishing, gather
from sslbench.store.record import Record


@dataclass(frozen=True)
class Aggregate:
    """What the records say."""

    recipes: tuple[Recipe, ...]
    metrics: tuple[MetricColumn, ...]
    """a column each"""
    distinguishing: Mapping[tuple[str, str], Sequence[str]]
    """(kind, plugin name) -> parameters that tell rows of that name apart"""
    problems: tuple[Problem, ...]
    unmeasured: Mapping[tuple[str, str], int]
    """(metric, reason) -> cells that were evaluated without it"""
    skipped: Mapping[str, int]
    """reason -> number of cells"""
    images_skipped: Mapping[str, int]
    """data set -> images that were left out"""
    older: int
    """records left out because newer code or data made the same cell again"""


def aggregate(records: Iterable[Record]) -> Aggregate:
    """Of records of cells; those of speed suites have a table of their own."""
    records = list(records)
    rows, older = gather(records)
    samples = samples_of(rows)
    metrics = MetricColumns(samples)
    parameters = distinguishing(rows)
    names = dict.fromkeys(f"{kind}.{name}" for (kind, _), names in parameters.items() for name in names)
    return Aggregate(
        recipes=summarise(rows, list(names), metrics),
        metrics=metrics.columns,
        distinguishing=parameters,
        problems=problems_of(rows),
        unmeasured=unmeasured(samples, metrics),
        skipped=Counter(str(record.reason) for record in records if record.status == "skipped"),
        images_skipped=images_skipped(rows),
        older=older,
    )


def unmeasured(samples: Sequence[Sample], metrics: MetricColumns) -> dict[tuple[str, str], int]:
    """(metric, reason) -> cells that were evaluated without it."""
    return Counter(
        (metrics.label(sample), sample.metric.reason)
        for sample in samples
        if sample.record.finished and sample.metric.value is None and sample.metric.reason
    )
