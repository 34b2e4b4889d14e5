"""``sslbench plan``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.command import Command
from sslbench.cli.options import SECTIONS, format_option, print_json, read_request, suite_options, suites_line
from sslbench.cli.streams import say, show

if TYPE_CHECKING:
    from sslbench.plan.plan import Plan
    from sslbench.report.text import Column

EPOCHS = "epochs"
"""a column where methods are trained for different numbers of them"""
ORDER = ("method", "evaluator", "backbone", EPOCHS, "seed", "masking", "augmentation", "dataset")
"""of the axes, by what they say of a cell"""
COLUMNS = ("method", "augmentation", "masking", "backbone", "dataset", EPOCHS, "seed", "evaluator")


@click.command(
    "plan",
    cls=Command,
    epilog=suites_line(),
    sections=SECTIONS,
    examples=[
        "sslbench plan",
        "sslbench plan -d photos -m simclr -m moco --seeds 0-4",
        "sslbench plan augmentations --size small --format json",
    ],
)
@suite_options
@format_option(what="plan")
def command(format_: str, **options: Any) -> None:
    """Print the cells of SUITE (default: quick): which are done, would run, are stale or skipped, and why.

    Runs nothing. Takes the options of ``run``, and takes them as ``run`` does.
    """
    request = read_request(options)
    from sslbench.execute.scheduler import plan_only
    from sslbench.report.text import plural

    plan = plan_only(request)
    if format_ == "json":
        facts = [
            {
                "cell": item.cell.key,
                "status": item.state,
                "reason": item.reason or None,
                **item.cell.axes,
                "epochs": item.cell.pretraining.epochs,
            }
            for item in plan.planned
        ]
        data = [{"dataset": item.name, "facts": item.facts and item.facts.to_json()} for item in plan.data]
        print_json({"data": data, "cells": facts})
    else:
        limit = "" if request.max_cells is None else f", at most {plural(request.max_cells, 'cell')} now"
        show(as_table(plan) + limit)
    for note in plan.notes:
        say(note)


def as_table(plan: Plan) -> str:
    """One line for each cell, and how many there are of each state."""
    from sslbench.report.data_facts import planned_in_words
    from sslbench.report.screen import PAGE
    from sslbench.report.text import listing, plural, wrapped

    counts = Counter(item.state for item in plan.planned)
    text = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no cell"
    reasons = Counter((item.state, item.reason) for item in plan.planned if item.reason and not PAGE.get().whole)
    below = [
        wrapped(f"{state}, {plural(count, 'cell')}: {reason}", rest="    ")
        for (state, reason), count in reasons.items()
    ]
    summary = f"{plan.suite}: {text}; {plural(len(plan.groups), 'pretraining')} to run"
    data = "\n".join(wrapped(line, rest="    ") for item in plan.data for line in planned_in_words(item))
    return "\n\n".join(filter(None, [data, listing(columns(plan)), "\n".join(below), summary]))


def names(plan: Plan, axis: str) -> list[Any]:
    """Of each cell on an axis, with the parameters that tell plugins of one name apart; None where it uses none."""
    from sslbench.report.rows import assigned, differing

    if axis == "seed":
        return [item.cell.pretraining.seed for item in plan.planned]
    chosen = [{**item.cell.pretraining.choices, "evaluator": item.cell.evaluator}.get(axis) for item in plan.planned]
    distinct = {id(choice): choice for choice in chosen if choice is not None}
    labels = {}
    for key, choice in distinct.items():
        keys = differing([other.values for other in distinct.values() if other.name == choice.name])
        words = assigned(choice.values, keys)
        labels[key] = f"{choice.name} ({words})" if words else choice.name
    return [labels.get(id(choice)) for choice in chosen]


def columns(plan: Plan) -> list[Column]:
    """Where there is no room, the axes with one value go first, then those that say least; reasons stand below."""
    from sslbench.report.numbers import NOTHING
    from sslbench.report.screen import PAGE, one_line
    from sslbench.report.text import Column

    cells: dict[str, list[str]] = {"status": [item.state for item in plan.planned]}
    for axis in COLUMNS:
        values = [item.cell.pretraining.epochs for item in plan.planned] if axis == EPOCHS else names(plan, axis)
        if axis != EPOCHS or any(item.cell.pretraining.method.epochs is not None for item in plan.planned):
            cells[axis] = [NOTHING if value is None else one_line(str(value)) for value in values]
    if PAGE.get().whole:
        cells["reason"] = [one_line(item.reason) for item in plan.planned]
    one_value = {axis: len(ORDER) for axis in ORDER if len(set(cells.get(axis, ""))) == 1}
    ranks = {axis: place + one_value.get(axis, 0) for place, axis in enumerate(ORDER)}
    return [Column(name, column, name in ("seed", EPOCHS), ranks.get(name, 0)) for name, column in cells.items()]
