"""Every metric of every recipe over its seeds: mean, deviation, number, interval."""

from __future__ import annotations

from typing import Any

from sslbench.report.numbers import fixed
from sslbench.report.text import Column, Section
from sslbench.report.view import Style, View

TITLE = "statistics over seeds"


def statistics(view: View) -> Section:
    """A line for each metric and recipe, best first."""
    recipes = view.aggregate.recipes
    lines = [(metric, row) for metric in view.aggregate.metrics for rows in view.ranking.rivals(metric) for row in rows]
    if not lines:
        return Section(f"{TITLE}: nothing was measured")
    rows = [
        {
            "metric": metric.label,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
            **view.names.columns_of(row),
            **{name: getattr(recipes[row].metrics[metric.label], name) for name in ("mean", "std", "n", "low", "high")},
            "best": row in view.ranking.best[metric.label],
            "tie": row in view.ranking.ties[metric.label],
        }
        for metric, row in lines
    ]
    notes = [
        "deviation: standard deviation over seeds (n - 1); 95% interval: of the mean over seeds (Student's t)",
        "*: best; =: not told apart from it (t-test over seeds, corrected for all pairs; --pairs has the numbers)",
    ]
    if all(row["n"] < 2 for row in rows):
        notes.append("one seed has neither deviation nor interval: run more with --seeds 0,1,2")
    places = {metric.label: view.ranking.decimals(metric) for metric, _ in lines}

    def text(row: dict[str, Any], *names: str) -> str:
        return " to ".join(dict.fromkeys(fixed(row[name], places[row["metric"]]) for name in names))

    def mark(row: dict[str, Any]) -> str:
        return "*" if row["best"] else "=" if row["tie"] else ""

    columns = [
        Column("metric", [row["metric"] for row in rows]),
        *view.words(Style(), [row for _, row in lines]),
        Column("mean", [mark(row) + text(row, "mean") for row in rows], number=True),
        Column("deviation", [text(row, "std") for row in rows], number=True),
        Column("seeds", [str(row["n"]) for row in rows], number=True),
        Column("95% interval", [text(row, "low", "high") for row in rows], number=True),
    ]
    return Section(TITLE, rows, columns, notes)
