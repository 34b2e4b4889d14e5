"""``sslbench plan``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.options import format_option, print_json, read_request, suite_options, suites_line
from sslbench.cli.streams import say, show

if TYPE_CHECKING:
    from sslbench.plan.plan import Plan

COLUMNS = ("method", "augmentation", "masking", "backbone", "dataset", "seed", "evaluator")


@click.command("plan", short_help="Print the cells of a suite.", epilog=suites_line())
@suite_options
@format_option(what="plan")
def command(format_: str, **options: Any) -> None:
    """Print the cells of SUITE (default: quick): which are done, would run, are stale or skipped, and why.

    Runs nothing. Takes the options of ``run``.
    """
    request = read_request(options)
    from sslbench.execute.scheduler import plan_only
    from sslbench.report.text import plural

    plan = plan_only(request)
    if format_ == "json":
        facts = [
            {"cell": p.cell.key, "status": p.state, "reason": p.reason or None, **p.cell.axes} for p in plan.planned
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
    from tabulate import tabulate

    from sslbench.report.data_facts import planned_in_words
    from sslbench.report.text import plural, wrapped

    rows = []
    for item in plan.planned:
        axes = {axis: "-" if value is None else value for axis, value in item.cell.axes.items()}
        rows.append([item.state, *(axes[column] for column in COLUMNS), item.reason])
    counts = Counter(item.state for item in plan.planned)
    text = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no cell"
    table = tabulate(rows, headers=["status", *COLUMNS, "reason"], tablefmt="simple")
    data = "\n".join(wrapped(line, rest="    ") for item in plan.data for line in planned_in_words(item))
    summary = f"{plan.suite}: {text}; {plural(len(plan.groups), 'pretraining')} to run"
    return "\n\n".join(filter(None, [data, table, summary]))
