"""A recipe and a survey of images as text for a terminal, and as JSON."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sslbench.report.text import Column, terminal
from sslbench.report.numbers import NOTHING, three_digits

if TYPE_CHECKING:
    from sslbench.advise.recipe import Recipe, Row
    from sslbench.advise.survey import Survey

WIDTH = 100
CHOSEN = "*"


def render_recipe(found: Recipe, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return recipe_json(found) if fmt == "json" else recipe_text(found)


def recipe_json(found: Recipe) -> str:
    folder = asdict(found.folder)
    folder |= {"root": str(folder["root"]), "labels": folder["labels"] and str(folder["labels"])}
    document = {
        "schema": 1,
        "folder": folder,
        "models": [asdict(row) for row in found.rows],
        "chosen": found.best,
        "advice": asdict(found.advice),
        "command": list(found.command),
        "note": found.note or None,
        "head": str(found.head),
    }
    return json.dumps(document, indent=1, allow_nan=False)


def recipe_text(found: Recipe) -> str:
    folder = found.folder
    judged = "a held-out fifth of each class" if folder.held_out else "the folder's own"
    head = (
        f"{folder.root}: {len(folder.classes)} classes, {folder.train:,} images to learn from, {folder.test:,} to"
        f" judge on ({judged})"
    )
    parts = ["\n".join([wrapped(head), *(wrapped(f"note: {note}") for note in folder.notes)])]
    if found.note:
        parts.append(wrapped(found.note))
    parts.append(models_table(found))
    advice = found.advice
    parts.append("\n".join([wrapped(advice.headline), *(wrapped(reason, "  ") for reason in advice.reasons)]))
    parts.append(f"Next:\n  {shlex.join(found.command)}")
    return "\n\n".join(parts)


def models_table(found: Recipe) -> str:
    points = sorted({point for row in found.rows for point in row.curve})
    label = [f"{CHOSEN if place == found.best else ' '}{row.label}" for place, row in enumerate(found.rows)]
    columns = [
        Column(" model", label),
        Column("k-NN", [share(row.knn) for row in found.rows], number=True),
        Column("linear", [share(row.linear) for row in found.rows], number=True),
        *(Column(f"@{point}", [drawn(row, point) for row in found.rows], number=True) for point in points),
        Column("features", [str(row.dim or NOTHING) for row in found.rows], number=True),
        Column("images/s", [three_digits(row.images_per_second) for row in found.rows], number=True),
    ]
    lines = [terminal(columns, gap=2, broken_headers=True), "", *legend(found, points)]
    return "\n".join(lines)


def legend(found: Recipe, points: Sequence[int]) -> list[str]:
    told = ["Percent right of the images to judge on; the model is frozen. linear: all labels."]
    if points:
        told.append("@n: with n labels a class, mean ± deviation over draws of the labels.")
    if found.best is not None and found.rows[found.best].chosen_by is not None:
        told.append(f"{CHOSEN}: chosen by the probe on a fifth of the images to learn from, not by these figures.")
    lines = [wrapped(" ".join(told))]
    lines += [wrapped(f"{row.label}: {row.reason}") for row in found.rows if row.reason]
    return lines


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}"


def drawn(row: Row, point: int) -> str:
    if point not in row.curve:
        return NOTHING
    mean, std = row.curve[point]
    return share(mean) + ("" if std is None else f"±{100 * std:.1f}")


def render_survey(found: Survey, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return survey_json(found) if fmt == "json" else survey_text(found)


def survey_json(found: Survey) -> str:
    document: dict[str, Any] = {"schema": 1, **asdict(found), "root": str(found.root)}
    return json.dumps(document, indent=1, allow_nan=False)


def survey_text(found: Survey) -> str:
    parts = ["\n".join([f"{found.root}: {found.images:,} images without labels", *(f"note: {n}" for n in found.notes)])]
    if found.note:
        parts.append(wrapped(found.note))
    names = list(dict.fromkeys(name for model in found.models for name in model.metrics))
    columns = [
        Column("model", [model.label for model in found.models]),
        *(Column(name, [figure(model.metrics.get(name)) for model in found.models], number=True) for name in names),
        Column("features", [str(model.dim) for model in found.models], number=True),
        Column("images/s", [three_digits(model.images_per_second) for model in found.models], number=True),
    ]
    parts.append(terminal(columns, gap=2, broken_headers=True))
    parts.append(f"What follows is by the features of {found.by}.")
    parts.append(pairs_text(found))
    parts.append(outliers_text(found))
    parts.append(neighbours_text(found))
    return "\n\n".join(parts)


def figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"


def pairs_text(found: Survey) -> str:
    lines = []
    exact = found.equal_files
    if exact:
        total = sum(len(group) for group in exact)
        lines.append(f"Equal files: {total} images in {len(exact)} group{'s' if len(exact) > 1 else ''}")
        lines += [f"  {' = '.join(group)}" for group in exact[: found.shown]]
        lines += more(len(exact) - found.shown)
    count = {0: "none", 1: "1 pair"}.get(len(found.near), f"{len(found.near):,} pairs")
    lines.append(f"Near duplicates: {count} at a whitened cosine of {found.threshold:g} or more")
    lines += [f"  {pair.cosine:.3f}  {pair.first}  {pair.second}" for pair in found.near[: found.shown]]
    lines += more(len(found.near) - found.shown)
    return "\n".join(lines)


def outliers_text(found: Survey) -> str:
    lines = ["Unlike all others (mean distance to the nearest ones; how far above the median, in its deviations):"]
    lines += [f"  {one.distance:.3f}  {one.deviations:+5.1f}  {one.path}" for one in found.outliers[: found.shown]]
    return "\n".join(lines)


def neighbours_text(found: Survey) -> str:
    lines = ["Nearest neighbours of some images:"]
    for one in found.neighbours:
        lines.append(f"  {one.path}")
        lines += [f"    {cosine:.3f}  {path}" for path, cosine in one.nearest]
    return "\n".join(lines)


def more(count: int) -> list[str]:
    return [f"  ... and {count} more (--format json has all)"] if count > 0 else []
