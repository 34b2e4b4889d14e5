"""``sslbench plan``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.options import read_request, suite_options, suites_line

if TYPE_CHECKING:
    from sslbench.plan.plan import Plan


@click.command("plan", short_help="Print the cells of a suite.", epilog=suites_line())
@suite_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of the plan.",
)
def command(format_: str, **options: Any) -> None:
    """Print the cells of SUITE (default: quick): which are done, would run, are stale or skipped, and why.

    Runs nothing. Takes the options of ``run``.
    """
    request = read_request(options)
    from sslbench.execute.scheduler import plan_only

    plan = plan_only(request)
    click.echo(as_json(plan) if format_ == "json" else as_table(plan))


def as_json(plan: Plan) -> str:
    cells = [
        {"cell": item.cell.key, "status": item.state, "reason": item.reason or None, **item.cell.axes}
        for item in plan.planned
    ]
    return json.dumps({"schema": 1, "cells": cells}, indent=1)


def as_table(plan: Plan) -> str:
    from tabulate import tabulate

    names = ("method", "augmentation", "masking", "backbone", "dataset", "seed", "evaluator")
    rows = [
        [
            item.state,
            *(item.cell.axes[name] if item.cell.axes[name] is not None else "-" for name in names),
            item.reason,
        ]
        for item in plan.planned
    ]
    counts: dict[str, int] = {}
    for item in plan.planned:
        counts[item.state] = counts.get(item.state, 0) + 1
    trainings = len(plan.groups)
    text = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no cell"
    table = tabulate(rows, headers=["status", *names, "reason"], tablefmt="simple")
    return f"{table}\n\n{plan.suite}: {text}; {trainings} pretraining{'s' if trainings != 1 else ''} to run"
