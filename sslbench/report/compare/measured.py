"""What the records of one recipe measured: quantity -> seed -> value, with what is known of its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslbench.report.aggregate import first_line, speed
from sslbench.report.compare.change import RATE, Measured, error_of_median
from sslbench.report.metric_columns import MetricColumn, metric_columns, samples_of
from sslbench.report.rows import Row, evaluator_key
from sslbench.store.record import Record, TrainingFacts

SPEEDS = {
    "images_per_second": (RATE, True),
    "step_ms_median": ("ms", False),
    "peak_memory_bytes": ("bytes", False),
    "flops_per_image": ("FLOP", False),
    "embed_images_per_second": (RATE, True),
}
"""quantity of speed or cost -> unit, and whether more is better"""
STATISTICS = {"images_per_second": "mean", "step_ms_median": "median"}
"""quantity of which raw step times are kept -> what of them it rests on"""
WARMUP_STEPS = 10
"""left out of raw step times, at most a fifth of them, as in the numbers of the records"""
Values = dict[str, dict[int, Measured]]
"""quantity -> seed -> value"""
Steps = Mapping[str, Sequence[float]]
"""key of a pretraining -> raw step times, milliseconds"""


class Quantities:
    """All that the rows of both sides measured: metrics by label, then speeds."""

    def __init__(self, rows: Sequence[Row]) -> None:
        columns, self._labels = metric_columns(samples_of(rows))
        self._evaluators = {label: evaluator for (_, evaluator), label in self._labels.items()}
        self.columns = {column.label: column for column in columns}
        self.columns |= {name: MetricColumn(name, name, *facts) for name, facts in SPEEDS.items()}

    def limitable(self) -> list[str]:
        """Every name that a limit may have: of what can become worse."""
        ranked = {label: column.name for label, column in self.columns.items() if column.higher_is_better is not None}
        return list(dict.fromkeys([*SPEEDS, *ranked, *ranked.values()]))

    def labels_of(self, name: str) -> set[str]:
        """All quantities that a limit's name stands for: itself, and the metric of that name of every evaluator."""
        return {name, *(label for label, column in self.columns.items() if column.name == name)}

    def of(self, row: Row | None, steps: Steps) -> Values:
        """All values of a row."""
        values: Values = {}
        for record in row.records if row else ():
            for name, metric in record.metrics.items() if record.finished else ():
                if metric.value is not None:
                    value, error = float(metric.value), metric.relative_error
                    measured = Measured(value, metric.std, metric.n, relative_error=error, error_from="rounds")
                    values.setdefault(self._labels[name, evaluator_key(record)], {})[record.seed] = measured
            for quantity in SPEEDS:
                rate = speed_of(record, quantity, steps)
                if rate is not None:
                    # The records of one pretraining repeat its numbers, or lack them: the first one known counts.
                    values.setdefault(quantity, {}).setdefault(record.seed, rate)
        return values

    def why_not(self, row: Row | None, quantity: str, seed: int) -> str | None:
        """What became of the cell that should have measured it; None where there is none."""
        evaluator = self._evaluators.get(quantity)
        for record in row.records if row else ():
            if record.seed == seed and evaluator in (None, evaluator_key(record)):
                reason = ": ".join(filter(None, [record.status, first_line(record.reason)]))
                return "not measured" if record.finished else reason
        return None


def speed_of(record: Record, quantity: str, steps: Steps) -> Measured | None:
    """One of ``SPEEDS`` with its step times, where they are kept."""
    value = speed(record, quantity)
    if value is None or quantity not in STATISTICS:
        return None if value is None else Measured(value)
    training = record.pretraining or TrainingFacts()
    series = list(steps.get(training.key or "", ()))
    error = error_of_median(training.step_ms_median, training.step_ms_iqr, training.steps)
    if record.kind == "speed":  # its rate is that of the median step, and its steps are without warm-up
        return Measured(value, steps=series, relative_error=error)
    steady = series[min(WARMUP_STEPS, len(series) // 5) :]
    return Measured(value, steps=steady, statistic=STATISTICS[quantity], relative_error=error)
