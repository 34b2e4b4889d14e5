"""A recipe as text for a terminal, and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from sslbench.advise.recipe import Recipe
from sslbench.advise.rows import Row
from sslbench.report.numbers import NOTHING, three_digits
from sslbench.report.text import Column, terminal, wrapped

CHOSEN = "*"


def render_recipe(recipe: Recipe, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return recipe_json(recipe) if fmt == "json" else recipe_text(recipe)


def recipe_json(recipe: Recipe) -> str:
    """All that the recipe knows."""
    folder = recipe.folder
    document = {
        "schema": 2,
        "folder": {**asdict(folder), "root": str(folder.root), "labels": folder.labels and str(folder.labels)},
        "models": [asdict(row) for row in recipe.rows],
        "chosen": recipe.best,
        "advice": asdict(recipe.advice),
        "command": list(recipe.command),
        "note": recipe.note or None,
        "head": str(recipe.head),
    }
    return json.dumps(document, indent=1, allow_nan=False)


def recipe_text(recipe: Recipe) -> str:
    """The folder, the models, the advice with its reasons, and the next command."""
    folder = recipe.folder
    source = "a held-out fifth of each class" if folder.held_out else "the folder's own"
    head = (
        f"{folder.root}: {len(folder.classes)} classes, {folder.train:,} training images, {folder.test:,} to"
        f" evaluate on ({source})"
    )
    parts = ["\n".join([wrapped(head), *(wrapped(f"note: {note}") for note in folder.notes)])]
    if recipe.note:
        parts.append(wrapped(recipe.note))
    parts.append(models_table(recipe))
    advice = recipe.advice
    parts.append("\n".join([wrapped(advice.headline), *(wrapped(reason, "  ", "  ") for reason in advice.reasons)]))
    parts.append(f"Next:\n  {shlex.join(recipe.command)}")
    return "\n\n".join(parts)


def models_table(recipe: Recipe) -> str:
    """One row a model, and what the columns mean."""
    rows = recipe.rows
    points = sorted({point for row in rows for point in row.curve})
    labels = [f"{CHOSEN if index == recipe.best else ' '}{row.label}" for index, row in enumerate(rows)]
    columns = [
        Column(" model", labels),
        Column("k-NN", [percent(row.knn) for row in rows], number=True),
        Column("linear", [percent(row.linear) for row in rows], number=True),
        *(Column(f"@{point}", [few_label_cell(row, point) for row in rows], number=True) for point in points),
        Column("features", [str(row.dim or NOTHING) for row in rows], number=True),
        Column("images/s", [three_digits(row.images_per_second) for row in rows], number=True),
    ]
    return "\n".join([terminal(columns, gap=2, broken_headers=True), "", *legend(recipe, points)])


def legend(recipe: Recipe, points: Sequence[int]) -> list[str]:
    """What the columns mean, and what went wrong."""
    sentences = ["Percent right of the images to evaluate on; the model is frozen. linear: all labels."]
    if points:
        sentences.append("@n: with n labels a class, mean ± deviation over draws of the labels.")
    if recipe.best is not None and recipe.rows[recipe.best].chosen_by is not None:
        sentences.append(f"{CHOSEN}: chosen by the probe on a fifth of the training images, not by these numbers.")
    failures = [wrapped(f"{row.label}: {row.reason}") for row in recipe.rows if row.reason]
    return [wrapped(" ".join(sentences)), *failures]


def percent(share: float | None) -> str:
    """A share in 0..1 to a tenth of a percent."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def few_label_cell(row: Row, point: int) -> str:
    """Mean and deviation with ``point`` labels a class."""
    if point not in row.curve:
        return NOTHING
    mean, std = row.curve[point]
    return percent(mean) + ("" if std is None else f"±{100 * std:.1f}")
