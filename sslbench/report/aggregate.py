"""Records -> one recipe a row, over its seeds, and all that is not in the rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, Literal

from sslbench.report.metric_columns import MetricColumn, Sample, metric_columns, samples_of
from sslbench.report.rows import Row, distinguishing, gather
from sslbench.statistics.intervals import Estimate
from sslbench.store.record import FeatureFacts, Record, TrainingFacts

SPEEDS: dict[str, Callable[[TrainingFacts, FeatureFacts], float | None]] = {
    "images_per_second": lambda training, features: training.images_per_second,
    "step_ms_median": lambda training, features: training.step_ms_median,
    "step_ms_iqr": lambda training, features: training.step_ms_iqr,
    "data_wait_share": lambda training, features: training.data_wait_share,
    "peak_memory_bytes": lambda training, features: training.peak_memory_bytes,
    "flops_per_image": lambda training, features: training.flops_per_image,
    "joules_per_image": lambda training, features: training.joules_per_image,
    "pretraining_seconds": lambda training, features: training.seconds,
    "embed_images_per_second": lambda training, features: features.images_per_second,
}
"""quantity of speed or cost -> where a record has it"""


@dataclass(frozen=True)
class Spread:
    """What stands behind a ±; over draws inside the evaluator: root mean square and mean number over seeds."""

    std: float | None
    n: int | None
    over: Literal["seeds", "draws"]


@dataclass(frozen=True)
class Recipe:
    """What one row measured."""

    row: Row
    params: Mapping[str, Any]
    """``KIND.PARAMETER`` -> value, of each parameter that tells rows apart; None where the row has none"""
    seeds: int
    status: str
    samples: Mapping[str, Mapping[int, Sample]]
    """label of a metric -> seed -> what was measured"""
    metrics: Mapping[str, Estimate]
    """label of every metric column -> over seeds"""
    draws: Mapping[str, Spread]
    """label -> spread inside the evaluator, of metrics of which any row has one"""
    speeds: Mapping[str, Estimate]

    @cached_property
    def is_baseline(self) -> bool:
        """Whether it took no step, and started from nobody's weights: what a method has to beat."""
        records = self.row.records
        steps = [record.pretraining.steps for record in records if record.pretraining]
        given = any(record.weights or record.weights_fingerprint for record in records)
        return bool(steps) and all(count == 0 for count in steps) and not given

    @property
    def is_of_pixels(self) -> bool:
        """Whether it is a baseline without a network."""
        return self.is_baseline and not self.row.name("backbone")

    def values(self, label: str) -> dict[int, float]:
        """Seed -> value of a metric."""
        return {seed: sample.value for seed, sample in self.samples.get(label, {}).items()}

    def spread(self, label: str) -> Spread | None:
        """Of a metric over seeds, else over draws."""
        estimate = self.metrics[label]
        known = self.draws.get(label) if estimate.std is None else Spread(estimate.std, estimate.n, "seeds")
        return known if known and known.std is not None else None


@dataclass(frozen=True)
class Problem:
    """Why cells of one row are not done."""

    row: int
    status: str
    reason: str
    seeds: tuple[int, ...]
    evaluators: tuple[str, ...]
    """those that it concerns; empty for all of the row's"""


@dataclass(frozen=True)
class Aggregate:
    """What the records say."""

    recipes: tuple[Recipe, ...]
    metrics: tuple[MetricColumn, ...]
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
    metrics, labels = metric_columns(samples)
    by_row: list[dict[str, dict[int, Sample]]] = [{} for _ in rows]
    drawn = set()
    unmeasured: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        label = labels[sample.key]
        if sample.measured:
            by_row[sample.row].setdefault(label, {})[sample.record.seed] = sample
            if sample.metric.std is not None:
                drawn.add(label)
        elif sample.record.finished and sample.metric.reason:
            unmeasured[label, sample.metric.reason] += 1
    parameters = distinguishing(rows)
    names = dict.fromkeys((kind, name) for (kind, _), own in parameters.items() for name in own)
    recipes = []
    for row, measured in zip(rows, by_row, strict=True):
        params = {f"{kind}.{name}": row.params[kind].get(name) for kind, name in names}
        seeds = len({record.seed for record in row.records})
        values = {column.label: list(measured.get(column.label, {}).values()) for column in metrics}
        means = {label: Estimate.of([sample.value for sample in own]) for label, own in values.items()}
        draws = {label: draws_of(own) for label, own in values.items() if label in drawn}
        recipes.append(Recipe(row, params, seeds, status_of(row), measured, means, draws, speeds_of(row)))
    return Aggregate(
        recipes=tuple(recipes),
        metrics=metrics,
        distinguishing=parameters,
        problems=tuple(problem for index, row in enumerate(rows) for problem in problems_of(index, row)),
        unmeasured=unmeasured,
        skipped=Counter(str(record.reason) for record in records if record.status == "skipped"),
        images_skipped=images_skipped(rows),
        older=older,
    )


def status_of(row: Row) -> str:
    """``2 done, 1 diverged``: how many seeds; one counts as done if all its evaluators are."""
    of_seed: dict[int, str] = {}
    for record in row.records:
        if of_seed.get(record.seed, "done") == "done":
            of_seed[record.seed] = record.status
    counts = Counter(of_seed.values())
    return ", ".join(f"{counts[status]} {status}" for status in sorted(counts, key=lambda s: (s != "done", s)))


def draws_of(samples: Sequence[Sample]) -> Spread:
    """Of one metric over seeds."""
    stds = [sample.metric.std for sample in samples if sample.metric.std is not None]
    counts = [float(sample.metric.n) for sample in samples if sample.metric.n is not None]
    root_mean_square = math.hypot(*stds) / math.sqrt(len(stds)) if stds else None
    return Spread(root_mean_square, round(fmean(counts)) if counts else None, "draws")


def speeds_of(row: Row) -> dict[str, Estimate]:
    """Of each of ``SPEEDS`` over the pretrainings of a row."""
    # The records of one pretraining repeat its numbers, or lack them: the first one known counts.
    by_pretraining: dict[str, dict[str, float]] = {}
    for record in row.records:
        key = record.pretraining.key if record.pretraining else None
        known = by_pretraining.setdefault(key or f"seed {record.seed}", {})
        for quantity in SPEEDS:
            value = speed(record, quantity)
            if value is not None:
                known.setdefault(quantity, value)
    return {name: Estimate.of([known[name] for known in by_pretraining.values() if name in known]) for name in SPEEDS}


def speed(record: Record, quantity: str) -> float | None:
    """One of ``SPEEDS`` as a record has it."""
    value = SPEEDS[quantity](record.pretraining or TrainingFacts(), record.features or FeatureFacts())
    return None if value is None else float(value)


def problems_of(index: int, row: Row) -> list[Problem]:
    """What is not done, cells with the same status and reason together."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in row.records:
        if record.status != "done":
            groups.setdefault((record.status, first_line(record.reason)), []).append(record)
    everyone = {record.evaluator for record in row.records}
    problems = []
    for (status, reason), records in groups.items():
        names = tuple(dict.fromkeys(str(record.evaluator) for record in records))
        seeds = tuple(sorted({record.seed for record in records}))
        problems.append(Problem(index, status, reason, seeds, names if set(names) != everyone else ()))
    return problems


def first_line(text: str | None) -> str:
    """Of a reason that may have several, or none."""
    return ((text or "").splitlines() or [""])[0]


def images_skipped(rows: Sequence[Row]) -> dict[str, int]:
    """Data set -> images that could not be read."""
    skipped: dict[str, int] = {}
    for row in rows:
        most = max(((record.pretraining or TrainingFacts()).images_skipped or 0 for record in row.records), default=0)
        if most:
            skipped[row.name("dataset")] = max(skipped.get(row.name("dataset"), 0), most)
    return skipped
