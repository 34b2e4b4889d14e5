"""One recipe over its seeds: every metric and every speed with mean, standard deviation, interval and count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sslbench.report.metric_columns import MetricColumns, Sample, samples_of
from sslbench.report.rows import Row
from sslbench.statistics.estimate import Estimate
from sslbench.store.record import FeatureFacts, Record, TrainingFacts

SPEEDS: dict[str, Callable[[TrainingFacts, FeatureFacts], float | None]] = {
    "images_per_second": lambda training, features: training.images_per_second,
    "step_ms_median": lambda training, features: training.step_ms_median,
    "step_ms_iqr": lambda training, features: training.step_ms_iqr,
    "data_wait_share": lambda training, features: training.data_wait_share,
    "peak_memory_bytes": lambda training, features: training.peak_memory_bytes,
    "flops_per_image": lambda training, features: training.flops_per_image,
    "pretraining_seconds": lambda training, features: training.seconds,
    "embed_images_per_second": lambda training, features: features.images_per_second,
}
"""quantity of speed or cost -> where a record has it"""


@dataclass(frozen=True)
class Draws:
    """The spread of a metric over repeated draws inside its evaluator: over seeds the root mean square."""

    std: float | None
    n: int | None
    """mean number of draws"""


@dataclass(frozen=True)
class Recipe:
    """What one row measured."""

    row: Row
    params: Mapping[str, Any]
    """``KIND.PARAMETER`` -> value, of each parameter that tells rows apart"""
    seeds: int
    status: str
    """``2 done, 1 diverged``: how many seeds"""
    samples: Mapping[str, Mapping[int, Sample]]
    """label of a metric -> seed -> what was measured"""
    metrics: Mapping[str, Estimate]
    """label of every metric column -> over seeds"""
    draws: Mapping[str, Draws]
    """label -> spread inside the evaluator, of metrics of which any row has one"""
    speeds: Mapping[str, Estimate]
    """each of ``SPEEDS`` -> over pretrainings"""

    def values(self, label: str) -> dict[int, float]:
        """Seed -> value of a metric."""
        return {seed: sample.value for seed, sample in self.samples.get(label, {}).items()}


def summarise(rows: Sequence[Row], parameters: Sequence[str], metrics: MetricColumns) -> tuple[Recipe, ...]:
    """One recipe for each row. ``parameters``: ``KIND.PARAMETER``, those that tell rows apart."""
    samples: list[dict[str, dict[int, Sample]]] = [{} for _ in rows]
    drawn = set()
    for sample in samples_of(rows):
        if sample.measured:
            label = metrics.label(sample)
            samples[sample.row].setdefault(label, {})[sample.record.seed] = sample
            if sample.metric.std is not None:
                drawn.add(label)
    labels = [column.label for column in metrics.columns]
    return tuple(
        Recipe(
            row=row,
            params={name: parameter(row, name) for name in parameters},
            seeds=len({record.seed for record in row.records}),
            status=status_of(row),
            samples=own,
            metrics={label: estimate(own.get(label, {})) for label in labels},
            draws={label: draws(own.get(label, {})) for label in labels if label in drawn},
            speeds=speeds(row),
        )
        for row, own in zip(rows, samples, strict=True)
    )


def parameter(row: Row, name: str) -> Any:
    """The value of ``KIND.PARAMETER``; None where the row has none."""
    kind, _, key = name.partition(".")
    return row.params[kind].get(key)


def status_of(row: Row) -> str:
    """``2 done, 1 diverged``: how many seeds; one counts as done if all its evaluators are."""
    of_seed: dict[int, str] = {}
    for record in row.records:
        if of_seed.get(record.seed, "done") == "done":
            of_seed[record.seed] = record.status
    counts = Counter(of_seed.values())
    return ", ".join(f"{counts[status]} {status}" for status in sorted(counts, key=lambda s: (s != "done", s)))


def estimate(samples: Mapping[int, Sample]) -> Estimate:
    """Of one metric over seeds."""
    return Estimate.of([sample.value for sample in samples.values()])


def draws(samples: Mapping[int, Sample]) -> Draws:
    """Of one metric over seeds."""
    squares = [sample.metric.std**2 for sample in samples.values() if sample.metric.std is not None]
    counts = [float(sample.metric.n) for sample in samples.values() if sample.metric.n is not None]
    return Draws(fmean(squares) ** 0.5 if squares else None, round(fmean(counts)) if counts else None)


def speeds(row: Row) -> dict[str, Estimate]:
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
    return {
        quantity: Estimate.of([known[quantity] for known in by_pretraining.values() if quantity in known])
        for quantity in SPEEDS
    }


def speed(record: Record, quantity: str) -> float | None:
    """One of ``SPEEDS`` as a record has it."""
    value = SPEEDS[quantity](record.pretraining or TrainingFacts(), record.features or FeatureFacts())
    return None if value is None else float(value)
