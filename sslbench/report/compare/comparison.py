"""Two sets of results, paired cell by cell: what moved beyond the spread, and what only one of them has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sslbench.errors import UserError, did_you_mean
from sslbench.measure.limits import Limit, read_limits
from sslbench.report.compare.change import Change, moved
from sslbench.report.compare.sides import Side, machine_differences
from sslbench.report.measured import SPEEDS, Metrics, Values
from sslbench.report.rows import AXES, IN_AN_AXIS, KINDS, Row, as_text, assigned, gather, telling

EXACT = ("flops_per_image",)
"""Counted, not measured: has no spread."""
NAMED = ("dataset", "method", "augmentation", "masking", "backbone", "training")
"""What a recipe's name is made of."""


@dataclass(frozen=True)
class OneSided:
    """What was measured on one side only: quantities of a recipe with the same seeds and reason."""

    side: str
    """``A`` or ``B``"""
    recipe: str
    quantities: tuple[str, ...]
    seeds: tuple[int, ...]
    reason: str | None
    """what became of the other side's cell; None where it has none"""


@dataclass(frozen=True)
class Comparison:
    first: str
    second: str
    changes: tuple[Change, ...]
    lone: tuple[OneSided, ...]
    machines: tuple[str, ...]
    """facts of the machine in which the two differ"""
    limits: tuple[Limit, ...]
    exceeded: tuple[str, ...]
    """a line for each limit that was crossed, and where"""


def compare(first: Side, second: Side, limits: Iterable[str] = (), across: Iterable[str] = ()) -> Comparison:
    """Pair the cells of two sides by what was asked for: the same axes, parameters and seed.

    ``limits``: texts ``QUANTITY:PERCENT``. ``across`` names axes or parameters (``training.precision``) in which a
    pair may differ. Raises UserError for an unknown name, and where ``across`` makes two recipes of one side the same.
    """
    found = [gather(side.records)[0] for side in (first, second)]
    rows = [*found[0], *found[1]]
    across = check_across(list(across), rows)
    one, other = (by_key(side, across, letter) for side, letter in zip(found, "AB", strict=True))
    metrics = Metrics(rows)
    wanted = read_limits("--fail-on", limits, metrics.quantities())
    names = recipe_names({**other, **one}, across)
    changes: list[Change] = []
    lone: list[OneSided] = []
    for key in dict.fromkeys([*one, *other]):
        pair = one.get(key), other.get(key)
        values = [metrics.of(row, side.steps) if row else {} for row, side in zip(pair, (first, second), strict=True)]
        changes += changed(names[key], pair[0] or other[key], values, metrics)
        lone += on_one_side("A", names[key], values[0], values[1], pair[1], metrics)
        lone += on_one_side("B", names[key], values[1], values[0], pair[0], metrics)
    return Comparison(
        first.name,
        second.name,
        tuple(changes),
        tuple(lone),
        tuple(machine_differences(first, second)),
        tuple(wanted),
        tuple(crossed(changes, lone, wanted, metrics)),
    )


def check_across(names: list[str], rows: Sequence[Row]) -> list[str]:
    parameters = [f"{kind}.{name}" for row in rows for kind in KINDS for name in row.params[kind]]
    allowed = list(dict.fromkeys([*AXES, *parameters]))
    unknown = [name for name in names if name not in allowed]
    if unknown:
        words = f"(allowed: {', '.join(AXES)}, and parameters such as training.precision)"
        raise UserError(
            *(
                f"--across {name!r}: no axis or parameter of these results{did_you_mean(name, allowed)} {words}"
                for name in unknown
            )
        )
    return names


def by_key(rows: Sequence[Row], across: Sequence[str], side: str) -> dict[str, Row]:
    """Rows by what they are, without what may differ."""
    found: dict[str, Row] = {}
    given_twice = set(IN_AN_AXIS) if "mask_ratio" in across else set()
    for row in rows:
        axes = {axis: value for axis, value in row.axes.items() if axis not in across}
        params = {
            kind: {
                name: value
                for name, value in given.items()
                if f"{kind}.{name}" not in across and (kind, name) not in given_twice
            }
            for kind, given in row.params.items()
            if kind not in across
        }
        key = as_text([axes, params])
        if key in found:
            raise UserError(f"--across {' '.join(across)}: several recipes of {side} differ in nothing else")
        found[key] = row
    return found


def recipe_names(rows: Mapping[str, Row], across: Sequence[str]) -> dict[str, str]:
    """Each row in words: its method, and whatever else tells rows apart."""
    tells = telling(list(rows.values()))
    words: dict[str, list[str]] = {key: [] for key in rows}
    for kind in NAMED:
        column = {key: named(row, kind, tells, across) for key, row in rows.items()}
        if kind == "method" or len(set(column.values())) > 1:
            for key, text in column.items():
                words[key] += [text] if text else []
    return {key: " · ".join(parts) for key, parts in words.items()}


def named(row: Row, kind: str, tells: Mapping[tuple[str, str], list[str]], across: Sequence[str]) -> str:
    told = [name for name in tells[kind, row.name(kind)] if f"{kind}.{name}" not in across]
    text = assigned(row.params[kind], told)
    if kind in across or kind == "training":
        return text
    if kind == "masking" and row.axes["mask_ratio"] is not None and "mask_ratio" not in across:
        text = ", ".join(filter(None, [f"ratio={row.axes['mask_ratio']:g}", text]))
    return f"{row.name(kind)} ({text})" if text else row.name(kind)


def changed(recipe: str, row: Row, values: Sequence[Values], metrics: Metrics) -> list[Change]:
    """The quantities that both sides measured, over the seeds in which both did."""
    changes = []
    for quantity in [*metrics.facts, *SPEEDS]:
        one, other = (side.get(quantity, {}) for side in values)
        seeds = tuple(sorted(one.keys() & other.keys()))
        if not seeds:
            continue
        both = [{seed: side[seed] for seed in seeds} for side in (one, other)]
        before, after, interval, over = moved(both[0], both[1], quantity, exact=quantity in EXACT)
        quality = metrics.facts.get(quantity)
        unit, higher = SPEEDS[quantity] if quality is None else (quality.unit, quality.higher_is_better)
        changes.append(Change(recipe, dict(row.axes), quantity, unit, higher, before, after, seeds, interval, over))
    return changes


def on_one_side(
    side: str, recipe: str, here: Values, there: Values, row_there: Row | None, metrics: Metrics
) -> list[OneSided]:
    groups: dict[tuple[tuple[int, ...], str | None], list[str]] = {}
    for quantity, values in here.items():
        reasons: dict[str | None, list[int]] = {}
        for seed in sorted(values.keys() - there.get(quantity, {}).keys()):
            reasons.setdefault(metrics.why_not(row_there, quantity, seed), []).append(seed)
        for reason, seeds in reasons.items():
            groups.setdefault((tuple(seeds), reason), []).append(quantity)
    return [OneSided(side, recipe, tuple(names), seeds, reason) for (seeds, reason), names in groups.items()]


def crossed(
    changes: Sequence[Change], lone: Sequence[OneSided], limits: Sequence[Limit], metrics: Metrics
) -> list[str]:
    """A line for each limit that was crossed: by a change, by a cell that B did not measure, by nothing to compare."""
    lines = []
    for limit in limits:
        names = {limit.quantity, *(label for label, quality in metrics.facts.items() if quality.name == limit.quantity)}
        mine = [change for change in changes if change.quantity in names]
        lost = [one for one in lone if one.side == "A" and one.reason is not None and names & set(one.quantities)]
        lines += [f"{change.in_words()} (limit {limit})" for change in mine if change.exceeds(limit)]
        for one in lost:
            seeds = ", ".join(map(str, one.seeds))
            lines.append(
                f"{one.recipe}: {limit.quantity} of seed {seeds} is in A, and in B {one.reason} (limit {limit})"
            )
        if not mine and not lost:
            lines.append(f"{limit.quantity}: no cell of A and B has measured it in both (limit {limit})")
    return lines
