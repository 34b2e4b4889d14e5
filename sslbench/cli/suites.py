"""``sslbench suites``."""

from __future__ import annotations

import itertools
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
    from sslbench.plan.builtin import COMMANDS, builtin_suites
    from sslbench.plan.suite import read_suite, text_of

    if name is not None:
        click.echo(text_of(name, *COMMANDS)[0], nl=False)
        return
    rows = [
        {
            "name": raw.name,
            "command": command,
            "summary": raw.data["summary"],
            "sizes": {size: given.get("summary", "") for size, given in raw.data.get("sizes", {}).items()},
        }
        for package, command in COMMANDS.items()
        for raw in (read_suite(suite, package=package) for suite in builtin_suites(package))
    ]
    click.echo(json.dumps({"schema": 1, "suites": rows}, indent=1) if format_ == "json" else as_table(rows))


def as_table(rows: list[dict[str, Any]]) -> str:
    """By command: the name, what it is for, and below it each size with what it makes smaller."""
    width = max(len(row["name"]) for row in rows)
    lines = []
    for command, some in itertools.groupby(rows, lambda row: row["command"]):
        lines += ["", f"sslbench {command} SUITE"]
        for row in some:
            lines.append(filled(f"  {row['name']:<{width}}  ", row["summary"], width + 4))
            for size, summary in row["sizes"].items():
                lines.append(filled(f"{'':<{width}}    --size {size}: ", summary, width + 4))
    return "\n".join(lines[1:])


def filled(start: str, text: str, indent: int) -> str:
    return textwrap.fill(start + text, WIDTH, subsequent_indent=" " * indent)
