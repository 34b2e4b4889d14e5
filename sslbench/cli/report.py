"""``sslbench report``."""

from __future__ import annotations

from pathlib import Path

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import result_folders
from sslbench.cli.options import UserPath, without_collector
from sslbench.cli.streams import say, show


@click.command(
    "report",
    cls=Command,
    examples=[
        "sslbench report sslbench-results/quick",
        "sslbench report before after -o both.html",
    ],
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=UserPath(), shell_complete=result_folders)
@click.option("-o", "--out", metavar="FILE", type=UserPath(), help="Page to write.  [default: DIR/report.html]")
@without_collector
def command(folders: tuple[Path, ...], out: Path | None) -> None:
    """Write the results in DIR as one HTML page that can be shown, sent and printed.

    The page needs nothing but a browser: it asks no network, and is complete where scripts do not run. Where they do,
    tables can be sorted, tables and charts filtered, and marks pointed out.
    """
    from sslbench.report.html.page import FILE, write_report
    from sslbench.results.chapters import KINDS

    path = out if out is not None else folders[0] / FILE
    for folder in write_report(folders, path, KINDS):
        for line in folder.damaged:
            say(f"warning: {line}; it is left out")
    show(str(path))
