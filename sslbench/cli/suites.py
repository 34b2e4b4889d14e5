"""``sslbench suites``."""

from __future__ import annotations

import itertools
from typing import Any

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import suite_names
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import show


@click.command(
    "suites",
    cls=Command,
    examples=[
        "sslbench suites",
        "sslbench suites quick > mine.toml && sslbench plan mine.toml",
    ],
)
@click.argument("name", required=False, shell_complete=suite_names(""))
@format_option(what="list")
def command(name: str | None, format_: str) -> None:
    """List the built-in suites with their sizes, or print the file of NAME, to be copied and changed."""
    from sslbench.plan.builtin import COMMANDS, builtin_suites
    from sslbench.plan.suite import text_of

    if name is not None:
        show(text_of(name, *COMMANDS)[0].rstrip("\n"), "toml")
        return
    rows = [row(suite, package) for package in COMMANDS for suite in builtin_suites(package)]
    if format_ == "json":
        print_json({"suites": rows})
    else:
        show(as_table(rows))


def row(suite: str, package: str) -> dict[str, Any]:
    """Name, command, summary and sizes of a built-in suite."""
    from sslbench.plan.builtin import COMMANDS
    from sslbench.plan.suite import read_suite

    data = read_suite(suite, package=package).data
    sizes = {size: changes.get("summary", "") for size, changes in data.get("sizes", {}).items()}
    return {"name": suite, "command": COMMANDS[package], "summary": data["summary"], "sizes": sizes}


def as_table(rows: list[dict[str, Any]]) -> str:
    """By command: the name, what it is for, and below it each size with what it makes smaller."""
    from sslbench.report.text import wrapped

    width = max(len(row["name"]) for row in rows)
    lines = []
    for command, suites in itertools.groupby(rows, lambda row: row["command"]):
        lines += ["", f"sslbench {command} SUITE"]
        for suite in suites:
            lines.append(wrapped(suite["summary"], f"  {suite['name']:<{width}}  ", " " * (width + 4)))
            for size, summary in suite["sizes"].items():
                lines.append(wrapped(f"--size {size}: {summary}", " " * (width + 4), " " * (width + 4)))
    return "\n".join(lines[1:])
