"""Predictions as text: for a terminal, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sslbench.report.text import Column, terminal

if TYPE_CHECKING:
    from sslbench.advise.head import Prediction


def render_predictions(found: Sequence[Prediction], classes: Sequence[str], fmt: str) -> str:
    """Without a newline at the end. ``table`` has the two likeliest classes, ``csv`` and ``json`` the probability of
    each."""
    return {"table": as_table, "csv": as_csv, "json": as_json}[fmt](found, classes)


def ranked(one: Prediction) -> list[int]:
    return sorted(range(len(one.probabilities)), key=lambda place: -one.probabilities[place])


def as_table(found: Sequence[Prediction], classes: Sequence[str]) -> str:
    if not found:
        return "no image was labelled"
    best = [ranked(one)[:2] for one in found]
    columns = [Column("image", [one.path for one in found])]
    for rank, title in enumerate(("label", "next")):
        columns.append(Column(title, [classes[places[rank]] for places in best]))
        shares = [one.probabilities[places[rank]] for one, places in zip(found, best, strict=True)]
        columns.append(Column("%", [f"{100 * value:.1f}" for value in shares], number=True))
    return terminal(columns, gap=2, broken_headers=False)


def as_csv(found: Sequence[Prediction], classes: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "probability", *(f"p({name})" for name in classes)])
    for one in found:
        best = ranked(one)[0]
        shares = [f"{value:.6g}" for value in (one.probabilities[best], *one.probabilities)]
        writer.writerow([one.path, classes[best], *shares])
    return text.getvalue().rstrip("\n")


def as_json(found: Sequence[Prediction], classes: Sequence[str]) -> str:
    rows = [
        {
            "path": one.path,
            "label": classes[ranked(one)[0]],
            "probabilities": dict(zip(classes, one.probabilities, strict=True)),
        }
        for one in found
    ]
    return json.dumps({"schema": 1, "predictions": rows}, indent=1, allow_nan=False)
