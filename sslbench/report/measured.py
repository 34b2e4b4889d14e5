"""What the records of one recipe measured: quantity -> seed -> value, with what tells its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslbench.report.aggregate import FINISHED, SPEED, name_metrics, values_of
from sslbench.report.compare.change import Measured, error_of_median
from sslbench.report.rows import Record, Row, as_text, evaluator_of

SPEEDS = {
    "images_per_second": ("images/s", True),
    "step_ms_median": ("ms", False),
    "peak_memory_bytes": ("bytes", False),
    "flops_per_image": ("FLOP", False),
    "embed_images_per_second": ("images/s", True),
}
"""Quantity -> unit, and whether more is better."""
STEPPED = ("images_per_second", "step_ms_median")
"""Those whose raw step times are kept."""
WARMUP_STEPS = 10
"""left out of raw step times, at most a fifth of them, as in the figures of the records"""
Values = dict[str, dict[int, Measured]]


class Metrics:
    """The metrics of all rows by label: the metric's name, and what tells evaluators apart that share it."""

    def __init__(self, rows: Sequence[Row]) -> None:
        values = [
            value for place, row in enumerate(rows) for record in row.records for value in values_of(place, record)
        ]
        qualities, self._labels = name_metrics(values)
        self.facts = {quality.label: quality for quality in qualities}
        self._evaluators = {label: evaluator for (_, evaluator), label in self._labels.items()}

    def quantities(self) -> list[str]:
        """Every name that a limit may have: of what can become worse."""
        ranked = {label: one.name for label, one in self.facts.items() if one.higher_is_better is not None}
        return list(dict.fromkeys([*SPEEDS, *ranked, *ranked.values()]))

    def of(self, row: Row, steps: Mapping[str, Sequence[float]]) -> Values:
        """All values of a row. ``steps``: raw step times by key of the pretraining."""
        found: Values = {}
        for record in row.records:
            if record["status"] in FINISHED:
                for name, facts in record["metrics"].items():
                    if facts.get("value") is not None:
                        label = self._labels[name, as_text(list(evaluator_of(record)))]
                        one = Measured(
                            float(facts["value"]),
                            facts.get("std"),
                            facts.get("n"),
                            relative_error=facts.get("relative_error"),
                            error_from="rounds",
                        )
                        found.setdefault(label, {})[record["seed"]] = one
            for quantity in SPEEDS:
                rate = speed(record, quantity, steps)
                if rate is not None:
                    # The records of one pretraining repeat its figures, or lack them: the first one known counts.
                    found.setdefault(quantity, {}).setdefault(record["seed"], rate)
        return found

    def why_not(self, row: Row | None, quantity: str, seed: int) -> str | None:
        """What became of the cell that should have measured it; None where there is none."""
        evaluator = self._evaluators.get(quantity)
        for record in row.records if row else ():
            if record["seed"] == seed and evaluator in (None, as_text(list(evaluator_of(record)))):
                if record["status"] in FINISHED:
                    return "not measured"
                return ": ".join(filter(None, [record["status"], *str(record.get("reason") or "").splitlines()[:1]]))
        return None


def speed(record: Record, quantity: str, steps: Mapping[str, Sequence[float]]) -> Measured | None:
    part, name = SPEED[quantity]
    facts = record.get(part) or {}
    if facts.get(name) is None:
        return None
    value = float(facts[name])
    if quantity not in STEPPED:
        return Measured(value)
    series = list(steps.get(facts.get("key") or "", ()))
    error = error_of_median(facts.get("step_ms_median"), facts.get("step_ms_iqr"), facts.get("steps"))
    if record.get("kind") == "speed":  # its rate is that of the median step, and its steps are without warm-up
        return Measured(value, steps=series, relative_error=error)
    steady = series[min(WARMUP_STEPS, len(series) // 5) :]
    statistic = "mean" if quantity == "images_per_second" else "median"
    return Measured(value, steps=steady, statistic=statistic, relative_error=error)
