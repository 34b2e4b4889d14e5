"""``sslbench new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import kind_names
from sslbench.cli.options import UserPath
from sslbench.cli.streams import show

if TYPE_CHECKING:
    from sslbench.testing.new_package import Written

INTO = "Add it to this package of yours, the folder with its pyproject.toml, and make no new one."


@click.command(
    "new",
    cls=Command,
    examples=[
        "sslbench new method mine                        # makes the folder mine",
        "sslbench new evaluator few-shot --into mine     # one more plugin in it",
    ],
)
@click.argument("kind", shell_complete=kind_names)
@click.argument("name")
@click.option("--into", type=UserPath(), metavar="PACKAGE", help=INTO)
def command(kind: str, name: str, into: Path | None) -> None:
    """Write a plugin NAME of KIND, in a package of its own in a new folder NAME.

    KIND is augmentation, masking, method, backbone, dataset, evaluator, simulator, executor or observer. The package
    has an entry point, a module with one parameter, its tests, a suite that ranks it beside a built-in one, and a
    workflow for GitHub; it passes its checks as it is written. Nothing is overwritten.
    """
    from sslbench.testing.into_package import add_to_package
    from sslbench.testing.new_package import new_package

    show(in_words(new_package(kind, name) if into is None else add_to_package(kind, name, into)))


def in_words(written: Written) -> str:
    """What was written, and the next commands."""
    from sslbench.report.text import Column, listing

    columns = [Column("file", list(written.files)), Column("what it is", list(written.files.values()))]
    return "\n\n".join(
        [
            f"{written.folder}: written",
            listing(columns),
            *written.notes,
            "\n".join(["next:", *(f"  {line}" for line in written.commands)]),
            f"and then:\n  {written.run}",
        ]
    )
