"""Recipes in words: their names, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sslbench.report.aggregate import Aggregate
from sslbench.report.numbers import listed
from sslbench.report.rows import Row, assigned
from sslbench.report.text import plural

KINDS = ("dataset", "method", "augmentation", "masking", "backbone", "training")
"""Columns of words, from left to right. One that says the same on all rows is said above the table instead."""
ALWAYS = "method"
"""the column that is shown even so"""
SETTINGS: dict[str, Callable[[Any], str]] = {
    "epochs": lambda value: plural(value, "epoch"),
    "batch_size": lambda value: f"batch {value}",
    "image_size": lambda value: f"{value} px",
    "train_images": lambda value: f"at most {value:,} training images",
    "evaluate_on": lambda value: "evaluated on held-out training images" if value == "validation" else "",
    "device": str,
    "precision": str,
    "compile": lambda value: "compiled" if value else "",
}
"""training settings in words"""


class RecipeNames:
    """The words of each row, by its index."""

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        rows = [recipe.row for recipe in aggregate.recipes]
        self._ratios = {row.axes["mask_ratio"] for row in rows} - {None}
        self.of_kind = {kind: [self._name(row, kind) for row in rows] for kind in KINDS}
        """kind -> name of each row, with the parameters that tell it from another row's; empty where it has none"""
        different = {kind: len(set(names) - {""}) for kind, names in self.of_kind.items()}
        self.kept = [kind for kind in KINDS if kind == ALWAYS or different[kind] > 1]
        """kinds that are a column of the table"""

    def _name(self, row: Row, kind: str) -> str:
        parameters = assigned(row.params[kind], self._aggregate.distinguishing[kind, row.name(kind)])
        if kind == "training":
            return parameters
        ratio = row.axes["mask_ratio"]
        if kind == "masking" and ratio is not None and len(self._ratios) > 1:
            parameters = ", ".join(filter(None, [f"ratio={ratio:g}", parameters]))
        return f"{row.name(kind)} ({parameters})" if parameters else row.name(kind)

    def recipe(self, row: int) -> str:
        """A row in words: what tells it from the others."""
        return " ".join(filter(None, (self.of_kind[kind][row] for kind in self.kept)))

    def title(self, suite: str) -> str:
        """What is the same for all rows."""
        recipes = self._aggregate.recipes
        words = [self.of_kind["dataset"][0]] if recipes and "dataset" not in self.kept else []
        seeds = {record.seed for recipe in recipes for record in recipe.row.records}
        if seeds:
            words.append(f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}")
        words += self._settings()
        for kind in ("augmentation", "masking", "backbone"):
            name = next(filter(None, self.of_kind[kind]), None)
            if kind not in self.kept and name:
                words.append(f"{kind} {name}")
        if len(self._ratios) == 1:
            words.append(f"mask ratio {max(self._ratios):g}")
        if not recipes:
            words.append("no results")
        return f"{suite}: {' · '.join(words)}" if suite else " · ".join(words)

    def _settings(self) -> list[str]:
        settings = [recipe.row.params["training"] for recipe in self._aggregate.recipes]
        words = []
        for name, in_words in SETTINGS.items():
            values = [training[name] for training in settings if name in training]
            if values and values[0] is not None and all(value == values[0] for value in values):
                words.append(in_words(values[0]))
        return [word for word in words if word]
