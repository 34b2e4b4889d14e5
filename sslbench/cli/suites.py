"""``sslbench suites``."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import click

WIDTH = 100
"""characters of a terminal that a line should fit"""


@click.command("suites", short_help="List the built-in suites.")
@click.argument("name", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of the list.",
)
def command(name: str | None, format_: str) -> None:
    """List the built-in suites with their sizes, or print the file of NAME, to be copied and changed.

    sslbench suites quick > mine.toml; sslbench run mine.toml
    """
    from sslbench.plan.suite import builtin_suites, read_suite, text_of

    if name is not None:
        click.echo(text_of(name)[0], nl=False)
        return
    suites = [read_suite(suite) for suite in builtin_suites()]
    rows = [
        {
            "name": raw.name,
            "summary": raw.data["summary"],
            "sizes": {size: given.get("summary", "") for size, given in raw.data.get("sizes", {}).items()},
        }
        for raw in suites
    ]
    click.echo(json.dumps({"schema": 1, "suites": rows}, indent=1) if format_ == "json" else as_table(rows))


def as_table(rows: list[dict[str, Any]]) -> str:
    """The name, what it is for, and below it each size with what it makes smaller."""
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        lines.append(filled(f"{row['name']:<{width}}  ", row["summary"]))
        for size, summary in row["sizes"].items():
            lines.append(filled(f"{'':<{width}}  --size {size}: ", summary))
    return "\n".join(lines)


def filled(start: str, text: str) -> str:
    return textwrap.fill(start + text, WIDTH, subsequent_indent=" " * (len(start) - len(start.lstrip()) or len(start)))
