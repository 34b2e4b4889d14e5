"""Which row of the table is meant: by its number, or by words of its recipe."""

from __future__ import annotations

from operator import index
from typing import Any, TypeVar

from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.report.metric_columns import MetricColumn
from sslbench.report.numbers import listed
from sslbench.report.text import first_names
from sslbench.report.view import KINDS, View
from sslbench.store.record import Record

T = TypeVar("T", int, str)


def recipe_of(view: View, row: Any) -> int:
    """The recipe, by its place in the aggregate. Raises UserError where no row is meant, or more than one."""
    if isinstance(row, str):
        return by_words(view, row)
    if isinstance(row, bool) or not hasattr(row, "__index__"):
        raise UserError(f"row {quoted(row)}: expected the number of a row of table(), or words of its recipe")
    number = index(row)
    if not 0 <= number < len(view.order):
        allowed = f"0 to {len(view.order) - 1}, as in table()" if view.order else "none, there are no results"
        raise UserError(f"row {number}: there is no such row (rows: {allowed})")
    return view.order[number]


def by_words(view: View, text: str) -> int:
    """The only recipe that has all of these words."""
    names = {row: view.names.recipe(row) for row in view.order}
    whole = [row for row, name in names.items() if name == text]
    words = {row: set(" ".join(view.names.of_kind[kind][row] for kind in KINDS).split()) for row in view.order}
    found = whole or [row for row in view.order if set(text.split()) <= words[row]]
    if len(found) == 1 and text.strip():
        return found[0]
    several = [names[row] for row in found or view.order]
    if found:
        raise UserError(f"row {quoted(text)}: {len(found)} rows have these words: {first_names(several)}")
    hint = did_you_mean(text, [*several, *sorted(set().union(*words.values()))])
    raise UserError(f"row {quoted(text)}: no row has these words{hint} (rows: {first_names(several)})")


def records_of(view: View, row: Any, seed: int | None) -> list[Record]:
    """Those of one row and seed; None: the first one with a record. Raises UserError."""
    recipe = recipe_of(view, row)
    records = view.aggregate.recipes[recipe].row.records
    seeds = sorted({record.seed for record in records if record.finished}) or sorted(r.seed for r in records)
    wanted = seeds[0] if seed is None else seed
    if wanted not in seeds:
        raise UserError(f"seed {quoted(seed)}: {view.names.recipe(recipe)} has no such seed (seeds: {listed(seeds)})")
    return [record for record in records if record.seed == wanted]


def metric_of(view: View, label: str | None) -> MetricColumn:
    """The column of a metric that ranks rows; None: the first one. Raises UserError."""
    columns = {column.label: column for column in view.aggregate.metrics if column.higher_is_better is not None}
    if label is None:
        column = view.ranking.first_metric(view.order)
        if column is None:
            raise UserError("no metric that ranks rows was measured")
        return column
    return columns[one_of("metric", label, list(columns))]


def one_of(what: str, given: Any, allowed: list[str]) -> str:
    """What was given, which is one of a few words. Raises UserError."""
    if given in allowed:
        return str(given)
    raise UserError(f"{what} {quoted(given)}{did_you_mean(str(given), allowed)} (allowed: {', '.join(allowed)})")
