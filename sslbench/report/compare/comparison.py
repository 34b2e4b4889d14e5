"""Two sets of results, paired cell by cell: what moved beyond the spread, and what only one of them has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from sslbench.errors import UserError, did_you_mean
from sslbench.measure.limits import Limit, read_limits
from sslbench.report.aggregate import first_line, speed
from sslbench.report.compare.change import LEAST_STEPS, MEDIAN_ERROR, RATE, Change, Measured, interval_between
from sslbench.report.compare.differences import differences, other_content
from sslbench.report.compare.sides import Side, machine_differences
from sslbench.report.metric_columns import MetricColumn, metric_columns, samples_of
from sslbench.report.rows import (
    AXES,
    FINGERPRINT,
    IN_AN_AXIS,
    KINDS,
    EvaluatorKeys,
    Row,
    as_text,
    assigned,
    distinguishing,
    gather,
)
from sslbench.report.view import KINDS as NAMED
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
Steps = Mapping[str, Sequence[float]]
"""key of a pretraining -> raw step times, milliseconds"""
Pair = tuple[Row | None, Row | None]
"""a row of A and one of B; None where there is none"""


@dataclass(frozen=True)
class OneSided:
    """What was measured on one side only: quantities of a recipe with the same seeds and reason."""

    side: str
    recipe: str
    quantities: tuple[str, ...]
    seeds: tuple[int, ...]
    reason: str | None
    """what became of the other side's cell; None where it has none"""


@dataclass(frozen=True)
class Comparison:
    """All that became of A in B."""

    first: str
    second: str
    changes: Sequence[Change]
    one_sided: Sequence[OneSided]
    machines: Sequence[str]
    differences: Sequence[str]
    """data, code, versions, settings and machine, a line each"""
    limits: Sequence[Limit]
    exceeded: Sequence[str]


def compare(first: Side, second: Side, limits: Iterable[str] = (), across: Iterable[str] = ()) -> Comparison:
    """Pair the cells of two sides by axes, parameters and seed, but for those that ``across`` names; of rows that agree
    in these, those of the same data and weights, else the only two, which are marked. ``limits``: texts
    ``QUANTITY:PERCENT``. Raises UserError for unknown names, and if ``across`` makes recipes of one side the same."""
    across = list(across)
    first_rows, second_rows = gather(first.records)[0], gather(second.records)[0]
    rows = [*first_rows, *second_rows]
    check_across(across, rows)
    pairs = paired(by_key(first_rows, across, "A"), by_key(second_rows, across, "B"))
    quantities = Quantities(rows)
    checked = read_limits("--fail-on", limits, quantities.limitable())
    changes: list[Change] = []
    one_sided: list[OneSided] = []
    for recipe, (row_a, row_b) in zip(
        recipe_names([known for a, b in pairs if (known := a or b)], across), pairs, strict=True
    ):
        values_a, values_b = quantities.of(row_a, first.steps), quantities.of(row_b, second.steps)
        if row_a and row_b:
            differs = other_content(row_a, row_b)
            name = f"{recipe} (other {' and '.join(differs)})" if differs else recipe
            changes += [replace(c, differs=differs) for c in changes_of(name, row_a, values_a, values_b, quantities)]
        one_sided += only_on("A", recipe, values_a, values_b, row_b, quantities)
        one_sided += only_on("B", recipe, values_b, values_a, row_a, quantities)
    exceeded = tuple(line for limit in checked for line in crossed(changes, one_sided, limit, quantities))
    machines, others = machine_differences(first, second), differences(first, second)
    return Comparison(first.name, second.name, changes, one_sided, machines, others, checked, exceeded)


def paired(in_a: Mapping[str, list[Row]], in_b: Mapping[str, list[Row]]) -> list[Pair]:
    """Rows of both sides, each once, in the order of B, then of A."""
    pairs: list[Pair] = []
    for key in dict.fromkeys([*in_b, *in_a]):
        alone_a, alone_b = list(in_a.get(key, ())), list(in_b.get(key, ()))
        for row in list(alone_a):
            if same := next((other for other in alone_b if not other_content(row, other)), None):
                pairs.append((row, same))
                alone_a.remove(row)
                alone_b.remove(same)
        if len(alone_a) == len(alone_b) == 1:
            pairs.append((alone_a.pop(), alone_b.pop()))
        pairs += [(row, None) for row in alone_a] + [(None, row) for row in alone_b]
    return pairs


def changes_of(recipe: str, row: Row, first: Values, second: Values, quantities: Quantities) -> list[Change]:
    """The quantities that both sides measured, over the seeds in which both did."""
    changes = []
    for quantity, column in quantities.columns.items():
        of_seeds = [side.get(quantity, {}) for side in (first, second)]
        seeds = tuple(sorted(of_seeds[0].keys() & of_seeds[1].keys()))
        if not seeds:
            continue
        shared = [[side[seed] for seed in seeds] for side in of_seeds]
        before, after = (fmean(measured.value for measured in side) for side in shared)
        facts = (row.axes, quantity, column.unit, column.higher_is_better, before, after, seeds)
        changes.append(Change(recipe, *facts, *interval_between(shared[0], shared[1], quantity)))
    return changes


def only_on(
    side: str, recipe: str, here: Values, there: Values, row_there: Row | None, quantities: Quantities
) -> list[OneSided]:
    """What one side measured and the other did not; quantities with the same seeds and reason together."""
    groups: dict[tuple[tuple[int, ...], str | None], list[str]] = {}
    for quantity, values in here.items():
        reasons: dict[str | None, list[int]] = {}
        for seed in sorted(values.keys() - there.get(quantity, {}).keys()):
            reasons.setdefault(quantities.why_not(row_there, quantity, seed), []).append(seed)
        for reason, seeds in reasons.items():
            groups.setdefault((tuple(seeds), reason), []).append(quantity)
    return [OneSided(side, recipe, tuple(names), seeds, reason) for (seeds, reason), names in groups.items()]


def crossed(
    changes: Sequence[Change], one_sided: Sequence[OneSided], limit: Limit, quantities: Quantities
) -> list[str]:
    """A line for each change beyond a limit, each cell that B did not measure, or that there is nothing to compare."""
    names = quantities.labels_of(limit.quantity)
    limited = [change for change in changes if change.quantity in names]
    in_a = [lost for lost in one_sided if lost.side == "A" and lost.reason is not None]
    all_lost = [lost for lost in in_a if names & set(lost.quantities)]
    lines = [f"{change.in_words()} (limit {limit})" for change in limited if change.exceeds(limit)]
    for lost in all_lost:
        seeds = ", ".join(map(str, lost.seeds))
        lines.append(f"{lost.recipe}: {limit.quantity} of seed {seeds} is in A, and in B {lost.reason} (limit {limit})")
    if not limited and not all_lost:
        lines.append(f"{limit.quantity}: no cell of A and B has measured it in both (limit {limit})")
    return lines


def check_across(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Raises UserError for what is neither an axis nor a parameter of these rows."""
    parameters = [f"{kind}.{name}" for row in rows for kind in KINDS for name in row.params[kind]]
    allowed = list(dict.fromkeys([*AXES, *parameters]))
    words = f"(allowed: {', '.join(AXES)}, and parameters such as training.precision)"
    if unknown := [name for name in names if name not in allowed]:
        label = "no axis or parameter of these results"
        raise UserError(*(f"--across {name!r}: {label}{did_you_mean(name, allowed)} {words}" for name in unknown))


def by_key(rows: Sequence[Row], across: Sequence[str], side: str) -> dict[str, list[Row]]:
    """Rows by the axes and parameters in which a pair must agree; several of one key are of other data or weights."""
    contents = {("dataset", FINGERPRINT), ("method", FINGERPRINT)}
    ignored = {tuple(name.split(".", 1)) for name in across if "." in name}
    ignored |= IN_AN_AXIS if "mask_ratio" in across else set()
    keyed: dict[str, list[Row]] = {}
    known: set[str] = set()
    for row in rows:
        axes = {axis: value for axis, value in row.axes.items() if axis not in across}

        def agreed(left_out: set[Any], row: Row = row) -> dict[str, Any]:
            kinds = {kind: settings for kind, settings in row.params.items() if kind not in across}
            return {
                kind: {name: value for name, value in settings.items() if (kind, name) not in left_out}
                for kind, settings in kinds.items()
            }

        whole = as_text([axes, agreed(ignored)])
        if whole in known:
            raise UserError(f"--across {' '.join(across)}: several recipes of {side} differ in nothing else")
        known.add(whole)
        keyed.setdefault(as_text([axes, agreed(ignored | contents)]), []).append(row)
    return keyed


def recipe_names(rows: Sequence[Row], across: Sequence[str]) -> list[str]:
    """Each row in words: its method, and whatever else tells rows apart."""
    parameters = distinguishing(rows)
    words: list[list[str]] = [[] for _ in rows]
    for kind in NAMED:
        column = []
        for row in rows:
            own = [name for name in parameters[kind, row.name(kind)] if f"{kind}.{name}" not in across]
            named = row.described(kind, own, "mask_ratio" not in across)
            column.append(assigned(row.params[kind], own) if kind in across else named)
        if kind == "method" or len(set(column)) > 1:
            for parts, text in zip(words, column, strict=True):
                parts += [text] if text else []
    return [" · ".join(parts) for parts in words]


class Quantities:
    """All that the rows of both sides measured: metrics by label, then speeds."""

    def __init__(self, rows: Sequence[Row]) -> None:
        columns, self._labels = metric_columns(samples_of(rows))
        self._evaluator_key = EvaluatorKeys()
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
                    values.setdefault(self._labels[name, self._evaluator_key(record)], {})[record.seed] = measured
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
            if record.seed == seed and evaluator in (None, self._evaluator_key(record)):
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
    median, iqr, steps_taken = training.step_ms_median, training.step_ms_iqr, training.steps or 0
    error = None
    if median and iqr is not None and steps_taken >= LEAST_STEPS:
        error = MEDIAN_ERROR * iqr / median / math.sqrt(steps_taken)
    if record.kind == "speed":  # its rate is that of the median step, and its steps are without warm-up
        return Measured(value, steps=series, relative_error=error)
    steady = series[min(WARMUP_STEPS, len(series) // 5) :]
    return Measured(value, steps=steady, statistic=STATISTICS[quantity], relative_error=error)
