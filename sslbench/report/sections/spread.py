"""Every metric of every recipe over its seeds: mean, deviation, number, interval."""

from __future__ import annotations

from typing import Any

from sslbench.report.aggregate import Quality
from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING, decimals, fixed, missing
from sslbench.report.sections.render import Section
from sslbench.report.view import NAMES, Style, View


def statistics(view: View) -> Section:
    """A line for each metric and recipe, best first."""
    lines = [
        (quality, row)
        for quality in view.found.qualities
        for rivals in view.rivals(quality)
        for row in rivals
        if not missing(view.found.lines[row][f"{quality.label}_mean"])
    ]
    places = {quality.label: decimals(view.means(quality)) for quality, _ in lines}

    def text(quality: Quality, row: int, *columns: str) -> list[str]:
        values = [view.found.lines[row][f"{quality.label}_{column}"] for column in columns]
        return [NOTHING if missing(value) else fixed(value, places[quality.label]) for value in values]

    intervals = [" to ".join(dict.fromkeys(text(*line, "low", "high"))) for line in lines]
    means = [f"{mark_of(view, *line)}{text(*line, 'mean')[0]}" for line in lines]
    columns = [
        Column("metric", [quality.label for quality, _ in lines]),
        *view.words(Style(), [row for _, row in lines]),
        Column("mean", means, number=True),
        Column("deviation", [text(*line, "std")[0] for line in lines], number=True),
        Column("seeds", [str(view.found.lines[row][f"{quality.label}_n"]) for quality, row in lines], number=True),
        Column("95% interval", intervals, number=True),
    ]
    notes = [
        "deviation: standard deviation over seeds (n - 1); 95% interval: of the mean over seeds (Student's t)",
        "*: best; =: not told apart from it (paired t-test over seeds, Holm's correction; --pairs has the figures)",
    ]
    if lines and all(view.found.lines[row][f"{quality.label}_n"] < 2 for quality, row in lines):
        notes.append("one seed has neither deviation nor interval: run more with --seeds 0,1,2")
    title = "statistics over seeds" if lines else "statistics over seeds: nothing was measured"
    return Section(title, [as_row(view, *line) for line in lines], columns, notes if lines else [])


def mark_of(view: View, quality: Quality, row: int) -> str:
    if row in view.best[quality.label]:
        return "*"
    return "=" if row in view.ties[quality.label] else ""


def as_row(view: View, quality: Quality, row: int) -> dict[str, Any]:
    line = view.found.lines[row]
    return {
        "metric": quality.label,
        "unit": quality.unit,
        "higher_is_better": quality.higher_is_better,
        **{kind: view.names[kind][row] or None for kind in NAMES},
        **{column: line[f"{quality.label}_{column}"] for column in ("mean", "std", "n", "low", "high")},
        "best": row in view.best[quality.label],
        "tie": row in view.ties[quality.label],
    }
