"""``sslbench merge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import result_folders
from sslbench.cli.options import Choice, UserPath, without_collector
from sslbench.cli.streams import say, show

if TYPE_CHECKING:
    from sslbench.store.merge.choose import Prefer
    from sslbench.store.merge.merge import Merged, Part

PREFER = Choice(["first", "last", "newest"])


@click.command(
    "merge",
    cls=Command,
    examples=[
        "sslbench run full.toml --seeds 0-2 --out here     # on one machine",
        "sslbench run full.toml --seeds 3-5 --out there    # on another",
        "sslbench merge here there -o all && sslbench results all",
    ],
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=UserPath(), shell_complete=result_folders)
@click.option("-o", "--out", required=True, metavar="OUT", type=UserPath(), help="Folder to make or to add to.")
@click.option("--prefer", type=PREFER, help="Which record is kept where folders have other results of one cell.")
@click.option("--artifacts/--no-artifacts", default=True, help="Copy weights, features and metrics of each image too.")
@without_collector
def command(folders: tuple[Path, ...], out: Path, prefer: Prefer | None, artifacts: bool) -> None:
    """Put the results of every DIR into OUT, as if all runs had been made there; nothing in DIR is changed.

    A record that several folders have counts once, and one that is done is kept before any that went wrong. Where two
    are done with other results, nothing is written unless --prefer says which is kept: that of the first or last
    folder (OUT comes first), or the newest. The same command as before, with --out OUT, then runs only what is missing.
    """
    from sslbench.store.merge.merge import merge

    merged = merge(folders, out, prefer=prefer, artifacts=artifacts)
    for line in merged.damaged:
        say(f"warning: {line}; it is left out")
    for part in merged.parts:
        if part.writer:
            say(f"warning: {part.folder}: still written to by {part.writer}; merge again when that has ended")
    show(in_words(merged))


def in_words(merged: Merged) -> str:
    """What came from where, and what OUT has now."""
    from sslbench.report.screen import one_line
    from sslbench.report.text import Column, listing, plural

    columns = [
        Column("folder", [one_line(str(part.folder)) for part in merged.parts]),
        Column("records", [str(part.records) for part in merged.parts], number=True),
        Column("kept", [str(part.fates.get("kept", 0)) for part in merged.parts], number=True),
        Column("not kept", [fates_of(part) for part in merged.parts]),
    ]
    superseded = merged.records - merged.current
    more = f", {superseded} of them superseded" if superseded else ""
    lines = [f"{merged.out}: {plural(merged.records, 'record')}{more}, {plural(merged.files, 'file')} copied"]
    if merged.several_trainings:
        trained = plural(merged.several_trainings, "pretraining")
        lines.append(
            f"{trained} trained in several folders: weights and features are those of the records that are kept"
        )
    return "\n\n".join([listing(columns), "\n".join(map(one_line, lines))])


def fates_of(part: Part) -> str:
    """Why records of a folder were not kept, and what is damaged in it."""
    words = {
        "equal": "with a result that is kept",
        "retried": "without a result (another try is kept)",
        "remeasured": "measured again later",
        "overruled": "with another result (--prefer)",
        "damaged": "damaged",
    }
    return ", ".join(f"{part.fates[fate]} {text}" for fate, text in words.items() if part.fates.get(fate))
