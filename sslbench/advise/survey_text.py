"""A survey of images without labels as text for a terminal, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sslbench.advise.survey import Survey
from sslbench.report.numbers import NOTHING, three_digits
from sslbench.report.text import Column, plural, terminal, wrapped

SHOWN = 10
"""rows of a list that are printed"""


def render_survey(survey: Survey, fmt: str) -> str:
    """``table`` or ``json``, without a newline at the end."""
    return survey_json(survey) if fmt == "json" else survey_text(survey)


def survey_json(survey: Survey) -> str:
    """All that the survey knows."""
    document: dict[str, Any] = {"schema": 2, **asdict(survey), "root": str(survey.root)}
    return json.dumps(document, indent=1, allow_nan=False)


def survey_text(survey: Survey) -> str:
    """The models, then duplicates, outliers and neighbours by the features of one of them."""
    title = f"{survey.root}: {survey.images:,} images without labels"
    parts = ["\n".join([title, *(f"note: {note}" for note in survey.notes)])]
    if survey.note:
        parts.append(wrapped(survey.note))
    parts.append(models_table(survey))
    parts.append(f"What follows is by the features of {survey.features_of}.")
    parts += [duplicates_text(survey), outliers_text(survey), neighbours_text(survey)]
    return "\n\n".join(parts)


def models_table(survey: Survey) -> str:
    """One row a model."""
    models = survey.models
    names = list(dict.fromkeys(name for model in models for name in model.metrics))
    columns = [
        Column("model", [model.label for model in models]),
        *(Column(name, [metric_cell(model.metrics.get(name)) for model in models], number=True) for name in names),
        Column("features", [str(model.dim) for model in models], number=True),
        Column("images/s", [three_digits(model.images_per_second) for model in models], number=True),
    ]
    return terminal(columns, gap=2, broken_headers=True)


def metric_cell(value: float | None) -> str:
    """Four digits."""
    return NOTHING if value is None else f"{value:.4g}"


def duplicates_text(survey: Survey) -> str:
    """Equal files, then near duplicates."""
    lines = []
    groups = survey.equal_files
    if groups:
        total = sum(len(group) for group in groups)
        lines.append(f"Equal files: {total} images in {plural(len(groups), 'group')}")
        lines += [f"  {' = '.join(group)}" for group in groups[:SHOWN]]
        lines += and_more(len(groups) - SHOWN)
    pairs = survey.near_duplicates
    count = plural(len(pairs), "pair") if pairs else "none"
    lines.append(f"Near duplicates: {count} at a whitened cosine of {survey.threshold:g} or more")
    lines += [f"  {pair.cosine:.3f}  {pair.first}  {pair.second}" for pair in pairs[:SHOWN]]
    lines += and_more(len(pairs) - SHOWN)
    return "\n".join(lines)


def outliers_text(survey: Survey) -> str:
    """The images that are farthest from their neighbours."""
    lines = ["Unlike all others (mean distance to the nearest ones; how far above the median, in its deviations):"]
    lines += [f"  {image.distance:.3f}  {image.deviations:+5.1f}  {image.path}" for image in survey.outliers[:SHOWN]]
    return "\n".join(lines)


def neighbours_text(survey: Survey) -> str:
    """Some images with the most similar others."""
    lines = ["Nearest neighbours of some images:"]
    for image in survey.neighbours:
        lines.append(f"  {image.path}")
        lines += [f"    {cosine:.3f}  {path}" for path, cosine in image.nearest]
    return "\n".join(lines)


def and_more(count: int) -> list[str]:
    """A line for what is not printed."""
    return [f"  ... and {count} more (--format json has all)"] if count > 0 else []
