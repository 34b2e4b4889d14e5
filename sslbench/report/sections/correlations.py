"""Do pretext loss and label-free metrics rank what the probes rank? Over the cells of a suite, and over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslbench.report.defaults import PROBES
from sslbench.report.numbers import NOTHING
from sslbench.report.sections.correlated import LOSS, Line, over_epochs, over_points, trainings
from sslbench.report.sections.section import Section
from sslbench.report.text import Column
from sslbench.report.view import View
from sslbench.statistics.correlation import FEWEST, FEWEST_FOR_INTERVAL, Coefficient

TITLE = "correlations with the probes"


def correlations(view: View) -> Section:
    """A line for each quantity, probe and group of trainings; then the same over the epochs of each recipe's curves."""
    lines: list[Line] = []
    too_few = 0
    datasets = view.names.of_kind["dataset"]
    for dataset in dict.fromkeys(datasets):
        rows = [row for row in view.order if datasets[row] == dataset]
        for over, members in groups_of(view, rows).items():
            points = [point for row in members for point in trainings(view.aggregate.recipes[row])]
            # What three points say is noise: shown only where there is nothing better.
            fewest = FEWEST if members == rows else FEWEST_FOR_INTERVAL
            correlated, lacking = over_points(dataset, over, points, fewest)
            lines += correlated
            too_few += lacking
        for row in rows:
            over = f"epochs of {view.names.recipe(row)}"
            lines += over_epochs(dataset, over, view.aggregate.recipes[row].row)
    if not lines:
        return Section(f"{TITLE}: {why_none(view)}")
    return Section(TITLE, [as_row(line) for line in lines], columns_of(lines), notes(lines, too_few))


def groups_of(view: View, rows: Sequence[int]) -> dict[str, list[int]]:
    """All rows of a data set; where there are several methods, those of each as well."""
    methods: dict[str, list[int]] = {}
    for row in rows:
        methods.setdefault(view.aggregate.recipes[row].row.name("method"), []).append(row)
    return {"all trainings": list(rows), **(methods if len(methods) > 1 else {})}


def why_none(view: View) -> str:
    """What is missing where there is no line."""
    evaluators = {record.evaluator for recipe in view.aggregate.recipes for record in recipe.row.records}
    if not evaluators & set(PROBES):
        return f"no probe among the evaluators ({', '.join(PROBES)})"
    return f"fewer than {FEWEST} trainings, and no curve (--set curve_every=1)"


def columns_of(lines: Sequence[Line]) -> list[Column]:
    """The lines as a person reads them."""
    columns = [
        Column("over", [line.over for line in lines]),
        Column("of", [line.quantity for line in lines]),
        Column("with", [line.probe for line in lines]),
        Column("n", [str(line.n) for line in lines], number=True),
        Column("Spearman", [in_words(line.spearman) for line in lines], number=True),
        Column("Pearson", [in_words(line.pearson) for line in lines], number=True),
    ]
    if len({line.dataset for line in lines}) > 1:
        columns.insert(0, Column("dataset", [line.dataset for line in lines]))
    return columns


def in_words(coefficient: Coefficient) -> str:
    """``0.83 (0.41 to 0.96)``."""
    if coefficient.value is None:
        return NOTHING
    text = f"{coefficient.value:.2f}"
    return text if coefficient.low is None else f"{text} ({coefficient.low:.2f} to {coefficient.high:.2f})"


def notes(lines: Sequence[Line], too_few: int) -> list[str]:
    """What to know about these lines. ``too_few``: pairs of quantity and probe without a line."""
    text = [
        "Spearman: of the ranks; Pearson: of the values; in brackets the 95% interval, where there are 4 points or more"
        " that are not on a line; n: trainings, one for each recipe and seed; seeds of one recipe resemble each other,"
        " so with few recipes the true interval is wider",
    ]
    if any(line.quantity == LOSS for line in lines):
        text.append(
            "a useful loss would be near -1 (lower loss, better probe); losses of different methods or settings have"
            " different units, so over all trainings it is a question of whether they can be compared at all"
        )
    if any(line.curves for line in lines):
        text.append(
            "epochs of: n epochs of one training, mean over its seeds; they depend on each other, so there is no"
            " interval"
        )
    if too_few:
        text.append(
            f"{too_few} pairs of quantity and probe are left out: fewer than {FEWEST_FOR_INTERVAL} trainings of a"
            f" method (of all: {FEWEST}), or nothing varies"
        )
    return text


def as_row(line: Line) -> dict[str, Any]:
    """One line, unrounded."""
    return {
        "dataset": line.dataset,
        "over": line.over,
        "quantity": line.quantity,
        "probe": line.probe,
        "n": line.n,
        "curves": line.curves,
        **coefficient_columns("spearman", line.spearman),
        **coefficient_columns("pearson", line.pearson),
    }


def coefficient_columns(name: str, coefficient: Coefficient) -> dict[str, float | None]:
    """Value and ends of the interval."""
    return {name: coefficient.value, f"{name}_low": coefficient.low, f"{name}_high": coefficient.high}
