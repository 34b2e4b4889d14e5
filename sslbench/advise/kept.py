"""Recipes and surveys as JSON: what ``--format json`` prints, and what was kept of it read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sslbench.advise.folder import LabelledFolder
from sslbench.advise.recipe import Recipe
from sslbench.advise.rows import Row
from sslbench.advise.survey import Survey
from sslbench.advise.verdict import Advice, Evidence
from sslbench.store.found import typed_as

FIELDS: Mapping[str, tuple[str, Any]] = {
    "folder": ("folder", LabelledFolder),
    "rows": ("models", tuple[Row, ...]),
    "best": ("chosen", int | None),
    "evidence": ("evidence", Evidence),
    "advice": ("advice", Advice),
    "command": ("command", tuple[str, ...]),
    "note": ("note", str | None),
    "head": ("head", Path),
}
"""of a recipe -> key of the document, and type"""


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """All of it but which images are right."""
    folder, labels = recipe.folder, recipe.folder.labels
    return {
        "schema": 2,
        "folder": {
            **asdict(folder),
            "root": os.path.abspath(folder.root),
            "labels": labels and os.path.abspath(labels),
        },
        "models": [{k: v for k, v in asdict(row).items() if k != "right"} for row in recipe.rows],
        "chosen": recipe.best,
        "evidence": asdict(recipe.evidence),
        "advice": asdict(recipe.advice),
        "command": recipe.command,
        "note": recipe.note or None,
        "head": str(recipe.head),
    }


def survey_document(survey: Survey) -> dict[str, Any]:
    """All of it."""
    return {"schema": 2, **asdict(survey), "root": str(survey.root)}


def read_recipe(document: Mapping[str, Any], where: str) -> Recipe:
    """What ``recipe_document`` made. Raises DamagedRecord, whose words begin with ``where``."""
    values = {name: typed_as(kind, document.get(key), f"{where}: {key}") for name, (key, kind) in FIELDS.items()}
    return Recipe(**{**values, "note": values["note"] or ""})


def read_survey(document: Mapping[str, Any], where: str) -> Survey:
    """What ``survey_document`` made. Raises DamagedRecord, whose words begin with ``where``."""
    survey: Survey = typed_as(Survey, {key: value for key, value in document.items() if key != "schema"}, where)
    return survey
