"""Two sets of results, paired cell by cell: what moved beyond the spread, and what only one of them has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sslbench.measure.limits import Limit, read_limits
from sslbench.report.compare.change import Change
from sslbench.report.compare.measured import SPEEDS, Quantities, Values
from sslbench.report.compare.pairing import by_key, check_across, recipe_names
from sslbench.report.compare.sides import Side, machine_differences
from sslbench.report.compare.uncertainty import shift_between
from sslbench.report.rows import Row, gather

EXACT = ("flops_per_image",)
"""counted, not measured: has no spread"""


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
    """All that became of A in B."""

    first: str
    """name of the side A"""
    second: str
    changes: tuple[Change, ...]
    one_sided: tuple[OneSided, ...]
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
    across = list(across)
    first_rows, second_rows = gather(first.records)[0], gather(second.records)[0]
    rows = [*first_rows, *second_rows]
    check_across(across, rows)
    in_a, in_b = by_key(first_rows, across, "A"), by_key(second_rows, across, "B")
    quantities = Quantities(rows)
    checked = read_limits("--fail-on", limits, quantities.limitable())
    changes: list[Change] = []
    one_sided: list[OneSided] = []
    for key, recipe in recipe_names({**in_b, **in_a}, across).items():
        row_a, row_b = in_a.get(key), in_b.get(key)
        values_a, values_b = quantities.of(row_a, first.steps), quantities.of(row_b, second.steps)
        changes += changes_of(recipe, row_a or in_b[key], values_a, values_b, quantities)
        one_sided += only_on("A", recipe, values_a, values_b, row_b, quantities)
        one_sided += only_on("B", recipe, values_b, values_a, row_a, quantities)
    return Comparison(
        first.name,
        second.name,
        tuple(changes),
        tuple(one_sided),
        tuple(machine_differences(first, second)),
        tuple(checked),
        tuple(line for limit in checked for line in crossed(changes, one_sided, limit, quantities)),
    )


def changes_of(recipe: str, row: Row, first: Values, second: Values, quantities: Quantities) -> list[Change]:
    """The quantities that both sides measured, over the seeds in which both did."""
    changes = []
    for quantity in [*quantities.metrics, *SPEEDS]:
        before, after = first.get(quantity, {}), second.get(quantity, {})
        seeds = tuple(sorted(before.keys() & after.keys()))
        if not seeds:
            continue
        shared = [{seed: side[seed] for seed in seeds} for side in (before, after)]
        shift = shift_between(shared[0], shared[1], quantity, exact=quantity in EXACT)
        change = Change(
            recipe,
            dict(row.axes),
            quantity,
            *quantities.unit_and_direction(quantity),
            shift.before,
            shift.after,
            seeds,
            shift.interval,
            shift.over,
        )
        changes.append(change)
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
