"""Recipes and surveys as text for a terminal, and as JSON."""

from __future__ import annotations

import json
import shlex
from typing import Any

from sslbench.advise.kept import recipe_document, survey_document
from sslbench.advise.recipe import Recipe
from sslbench.advise.rows import Row
from sslbench.advise.survey import Survey
from sslbench.advise.verdict import CHANCE
from sslbench.report.fitting import cut
from sslbench.report.numbers import NOTHING, three_digits
from sslbench.report.screen import PAGE, one_line
from sslbench.report.text import Column, fits, fitted, plural, terminal, wrapped
from sslbench.report.view import Style
from sslbench.statistics.shares import Share

CHOSEN, TIE = "*", "="
SHOWN = 10
"""rows of a list that are printed"""


def render_recipe(recipe: Recipe, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return recipe_text(recipe) if fmt == "table" else as_json(recipe_document(recipe))


def render_survey(survey: Survey, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return survey_text(survey) if fmt == "table" else as_json(survey_document(survey))


def as_json(document: dict[str, Any]) -> str:
    """As it is printed."""
    return json.dumps(document, indent=1, allow_nan=False)


def recipe_text(recipe: Recipe) -> str:
    """The advice with its reasons, the folder, the models, and the next command."""
    folder = recipe.folder
    source = "a held-out fifth of each class" if folder.held_out else "the folder's own"
    head = (
        f"{folder.root}: {len(folder.classes)} classes, {folder.train:,} training images, {folder.test:,} to"
        f" evaluate on ({source})"
    )
    parts = [
        "\n".join([wrapped(recipe.advice.headline), *(wrapped(why, "  ", "    ") for why in recipe.advice.reasons)]),
        "\n".join([wrapped(head), *(wrapped(f"note: {note}") for note in folder.notes)]),
        *([wrapped(recipe.note)] if recipe.note else []),
        recipe_table(recipe),
        f"Next:\n  {shlex.join(recipe.command)}",
    ]
    return "\n\n".join(parts)


def recipe_table(recipe: Recipe) -> str:
    """One row a model, in a file in several tables where one does not fit; what columns mean, and what went wrong."""
    columns, style = columns_of(recipe), Style(2, broken_headers=True)
    text = fitted(columns)
    if PAGE.get().whole and not fits(text):
        text = "\n\n".join(terminal(group, style.gap, style.broken_headers) for group in cut(columns, style))
    return "\n".join([text, "", *map(wrapped, legend_lines(recipe))])


def columns_of(recipe: Recipe) -> list[Column]:
    """Of all rows."""
    rows = recipe.rows
    points = sorted({point for row in rows for point in row.curve})
    marks = [CHOSEN if index == recipe.best else TIE if row.tie else " " for index, row in enumerate(rows)]
    columns = [
        Column(" model", [mark + row.label for mark, row in zip(marks, rows, strict=True)]),
        Column("k-NN", [percent(row.knn) for row in rows], number=True),
        Column("linear", [percent(row.linear) for row in rows], number=True),
        Column("95% interval", [interval(row.share) for row in rows], number=True, rank=2),
    ]
    if recipe.evidence.balanced is not None:
        columns += [
            Column("balanced", [percent(row.balanced.value if row.balanced else None) for row in rows], number=True),
            Column("95% interval", [interval(row.balanced) for row in rows], number=True, rank=2),
        ]
    return [
        *columns,
        *(Column(f"@{point}", [few_label_cell(row, point) for row in rows], number=True, rank=1) for point in points),
        Column("features", [str(row.dim or NOTHING) for row in rows], number=True, rank=4),
        Column("images/s", [three_digits(row.images_per_second) for row in rows], number=True, rank=3),
    ]


def legend_lines(recipe: Recipe) -> list[str]:
    """What the columns and the marks mean, and what went wrong."""
    rows, best = recipe.rows, recipe.best
    sentences = [
        f"Percent right of the {recipe.folder.test:,} images to evaluate on; the model is frozen. linear: all labels."
    ]
    if recipe.evidence.balanced is not None:
        sentences.append("balanced: mean over classes, which counts here, for the classes are unequal.")
    if any(row.curve for row in rows):
        sentences.append("@n: with n labels a class, mean ± deviation over draws of the labels.")
    if best is not None and rows[best].chosen_by is not None:
        sentences.append(f"{CHOSEN}: chosen by the probe on a fifth of the training images, not by these numbers.")
    if any(row.tie for row in rows):
        counted = "balanced accuracy" if recipe.evidence.balanced is not None else "linear"
        sentences.append(f"{TIE}: not told apart from it in {counted} (p at least {CHANCE:g} after Holm's correction).")
    lines = [f"{row.label}: licence {row.licence}" for row in rows if row.licence and row.kind == "model"]
    lines += [f"{row.label}: {row.reason}" for row in rows if row.reason]
    return [" ".join(sentences), *lines]


def interval(share: Share | None) -> str:
    """Of a share, in percent."""
    return NOTHING if share is None else f"{100 * share.low:.1f}-{100 * share.high:.1f}"


def percent(share: float | None) -> str:
    """A share in 0..1 to a tenth of a percent."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def few_label_cell(row: Row, point: int) -> str:
    """Mean and deviation with ``point`` labels a class."""
    if point not in row.curve:
        return NOTHING
    mean, std = row.curve[point]
    return percent(mean) + ("" if std is None else f"±{100 * std:.1f}")


def survey_text(survey: Survey) -> str:
    """The models, then duplicates, outliers and neighbours by the features of one of them."""
    title = wrapped(f"{survey.root}: {survey.images:,} images without labels")
    heading = "Unlike all others (mean distance to the nearest ones; how far above the median, in its deviations):"
    outliers = [wrapped(heading)]
    outliers += [
        f"  {far.distance:.3f}  {far.deviations:+5.1f}  {one_line(far.path)}" for far in survey.outliers[:SHOWN]
    ]
    neighbours = ["Nearest neighbours of some images:"]
    for image in survey.neighbours:
        neighbours.append(f"  {one_line(image.path)}")
        neighbours += [f"    {cosine:.3f}  {one_line(path)}" for path, cosine in image.nearest]
    parts = [
        "\n".join([title, *(wrapped(f"note: {note}") for note in survey.notes)]),
        *([wrapped(survey.note)] if survey.note else []),
        fitted(survey_columns(survey)),
        f"What follows is by the features of {survey.features_of}.",
        duplicates_text(survey),
        "\n".join(outliers),
        "\n".join(neighbours),
    ]
    return "\n\n".join(parts)


def survey_columns(survey: Survey) -> list[Column]:
    """One row a model."""
    models = survey.models
    metrics = {
        name: [NOTHING if (value := model.metrics.get(name)) is None else f"{value:.4g}" for model in models]
        for name in dict.fromkeys(name for model in models for name in model.metrics)
    }
    return [
        Column("model", [model.label for model in models]),
        *(Column(name, cells, number=True, rank=place) for place, (name, cells) in enumerate(metrics.items())),
        Column("features", [str(model.dim) for model in models], number=True, rank=len(metrics) + 1),
        Column("images/s", [three_digits(model.images_per_second) for model in models], number=True, rank=len(metrics)),
    ]


def duplicates_text(survey: Survey) -> str:
    """Equal files, then near duplicates."""
    lines = []
    groups = survey.equal_files
    if groups:
        total = sum(len(group) for group in groups)
        lines.append(f"Equal files: {total} images in {plural(len(groups), 'group')}")
        lines += [one_line(f"  {' = '.join(group)}") for group in groups[:SHOWN]]
        lines += and_more(len(groups) - SHOWN)
    pairs = survey.near_duplicates
    count = plural(len(pairs), "pair") if pairs else "none"
    lines.append(f"Near duplicates: {count} at a whitened cosine of {survey.threshold:g} or more")
    lines += [one_line(f"  {pair.cosine:.3f}  {pair.first}  {pair.second}") for pair in pairs[:SHOWN]]
    lines += and_more(len(pairs) - SHOWN)
    return "\n".join(lines)


def and_more(count: int) -> list[str]:
    """A line for what is not printed."""
    return [f"  ... and {count} more (--format json has all)"] if count > 0 else []
