"""Rows that no training made: what a method has to beat."""

from __future__ import annotations

from sslbench.report.aggregate import Recipe

NO_TRAINING, PIXELS = "random-init", "raw-pixels"
"""methods that a table without such rows is told to add"""


def is_baseline(recipe: Recipe) -> bool:
    """Whether it took no step, and started from nobody's weights."""
    records = recipe.row.records
    steps = [record.pretraining.steps for record in records if record.pretraining]
    given = any(record.weights or record.weights_fingerprint for record in records)
    return bool(steps) and all(count == 0 for count in steps) and not given


def is_of_pixels(recipe: Recipe) -> bool:
    """Whether it is a baseline without a network."""
    return is_baseline(recipe) and not recipe.row.name("backbone")
