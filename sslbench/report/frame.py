"""Recipes, and other rows, as data frames, unrounded. The one module that imports pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pandas import DataFrame as DataFrame, Series

from sslbench.report.aggregate import Aggregate, Recipe
from sslbench.report.comma_separated import no_formula
from sslbench.report.majority import facts_of
from sslbench.report.rows import AXES
from sslbench.report.view import View
from sslbench.statistics.intervals import Estimate

COUNTS = ("train_images", "test_images", "classes", "duplicates")
"""what a row looked at: numbers of images and classes, as a record's ``data`` has them"""


def data_frame(aggregate: Aggregate) -> DataFrame:
    """One line a recipe: the axes; ``KIND.PARAMETER`` for each parameter that tells rows apart; ``seeds`` (number)
    and ``status``; for each metric and speed an ``Estimate`` over seeds (``_mean``, ``_std``, ``_low``, ``_high`` and
    ``_n``); for a metric with repeated draws inside the evaluator also ``_draws_std`` and ``_draws_n``."""
    lines = [line_of(recipe) for recipe in aggregate.recipes]
    columns = list(lines[0]) if lines else [*AXES, "seeds", "status"]
    measured = columns[columns.index("status") + 1 :]
    types = {name: "int64" if name.endswith("_n") else "float64" for name in measured}
    types |= {name: "Int64" for name in measured if name.endswith("_draws_n") or name in COUNTS}
    return DataFrame(lines, columns=columns, dtype=object).astype(types)


def ranked_frame(view: View) -> DataFrame:
    """The same with the words of each recipe in front, numbered from 0 in the order of the table, the best first."""
    frame = data_frame(view.aggregate).iloc[list(view.order)].reset_index(drop=True)
    frame.insert(0, "recipe", [view.names.recipe(row) for row in view.order])
    return frame


def frame_of(
    lines: Sequence[Mapping[str, Any]], columns: Sequence[str], index: Sequence[int] | None = None, **attrs: Any
) -> DataFrame:
    """A line a row; ``columns``: those that it has even without lines, the others follow; ``attrs``: as pandas' own.
    What is not known of a number is NaN."""
    names = dict.fromkeys([*columns, *(name for line in lines for name in line)])
    frame = DataFrame([{**dict.fromkeys(names), **line} for line in lines], columns=list(names), index=index)
    frame.attrs |= attrs
    numbers = [name for name in names if frame[name].isna().any() and frame[name].map(is_number).all()]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def is_number(value: Any) -> bool:
    """Whether it is one, or None."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def csv_text(aggregate: Aggregate) -> str:
    """The data frame as CSV, without a newline at the end; no cell is a formula."""
    table = data_frame(aggregate).rename(columns=no_formula)
    for name in table.select_dtypes("object").columns:
        # Series.map would make one type of all values, and whole numbers may be too large for one.
        table[name] = Series([no_formula(value) for value in table[name]], table.index, dtype=object)
    return str(table.to_csv(index=False, lineterminator="\n")).rstrip("\n")


def line_of(recipe: Recipe) -> dict[str, Any]:
    """All columns of one recipe."""
    line: dict[str, Any] = {**recipe.row.axes, **recipe.params, "seeds": recipe.seeds, "status": recipe.status}
    for label, estimate in recipe.metrics.items():
        name = label.encode("utf-8", "backslashreplace").decode()  # pandas takes no lone surrogate
        line |= columns_of(name, estimate)
        if label in recipe.draws:
            line |= {f"{name}_draws_std": recipe.draws[label].std, f"{name}_draws_n": recipe.draws[label].n}
    for quantity, estimate in recipe.speeds.items():
        line |= columns_of(quantity, estimate)
    facts = facts_of(recipe)
    return line | {name: None if facts is None else getattr(facts, name) for name in (*COUNTS, "majority_share")}


def columns_of(name: str, estimate: Estimate) -> dict[str, Any]:
    """The five columns of one quantity."""
    return {f"{name}_{part}": value for part, value in vars(estimate).items()}
