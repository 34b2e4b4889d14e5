"""Predictions as text: for a terminal, as CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sslbench.advise.predict import Prediction
from sslbench.report.text import Column, as_csv, terminal


def render_predictions(predictions: Sequence[Prediction], classes: Sequence[str], fmt: str) -> str:
    """Without a newline at the end. ``table`` has the two likeliest classes, ``csv`` and ``json`` the probability of
    each."""
    return {"table": as_table, "csv": csv_text, "json": json_text}[fmt](predictions, classes)


def as_table(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """The likeliest class of each image and the next, in percent."""
    if not predictions:
        return "no image was labelled"
    columns = [Column("image", [prediction.path for prediction in predictions])]
    for rank, title in enumerate(("label", "next")):
        labels = [prediction.ranking[rank] for prediction in predictions]
        columns.append(Column(title, [classes[label] for label in labels]))
        shares = [prediction.probabilities[label] for prediction, label in zip(predictions, labels, strict=True)]
        columns.append(Column("%", [f"{100 * share:.1f}" for share in shares], number=True))
    return terminal(columns, gap=2, broken_headers=False)


def csv_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """One line an image, with its path, label and the probability of each class."""
    names = [f"p({name})" for name in classes]
    rows = []
    for prediction in predictions:
        label = prediction.ranking[0]
        shares = [f"{share:.6g}" for share in prediction.probabilities]
        row = {"path": prediction.path, "label": classes[label], "probability": shares[label]}
        rows.append({**row, **dict(zip(names, shares, strict=True))})
    return as_csv(rows, ["path", "label", "probability", *names])


def json_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """An object with the list of predictions."""
    rows = [
        {
            "path": prediction.path,
            "label": classes[prediction.ranking[0]],
            "probabilities": dict(zip(classes, prediction.probabilities, strict=True)),
        }
        for prediction in predictions
    ]
    return json.dumps({"schema": 2, "predictions": rows}, indent=1, allow_nan=False)
