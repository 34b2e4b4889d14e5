"""``sslbench claims``."""

from __future__ import annotations

from pathlib import Path

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import result_folders
from sslbench.cli.numbers import Whole
from sslbench.cli.options import Choice, UserPath, check_folder, keep_option, kept_as
from sslbench.cli.streams import complain, note, show

FORMATS = Choice(["table", "markdown", "json"])


@click.command(
    "claims",
    cls=Command,
    examples=[
        "sslbench claims",
        "sslbench claims --results sslbench-results/quick --format markdown",
        "sslbench claims --out claims && sslbench report claims",
    ],
)
@click.option(
    "--seed",
    type=Whole(0, 2**32 - 1001),
    default=42,
    show_default=True,
    help="First of the seeds that verdicts rest on.",
)
@click.option(
    "--results",
    multiple=True,
    type=UserPath(),
    shell_complete=result_folders,
    metavar="DIR",
    help="A folder of finished runs that claims are tested on; repeatable.  [default: those in sslbench-results]",
)
@click.option(
    "--format", "format_", type=FORMATS, default="table", show_default=True, help="How the claims are printed."
)
@keep_option
def command(seed: int, results: tuple[Path, ...], format_: str, out: Path | None) -> int:
    """Test every claim: the simulators', and those that the harness and finished runs can test.

    Each has its verdict, the evidence and the command that gives it. What needs a run that is in no DIR is
    "not measured yet".
    """
    from sslbench.claims.all_claims import all_claims
    from sslbench.claims.kept import CLAIMS, claims_document
    from sslbench.claims.text import render_claims
    from sslbench.store.found import keep

    if out is not None:
        check_folder(out)
    failed: list[str] = []
    rows = all_claims(seed, results, failed=failed)
    show(render_claims(rows, format_), format_)
    if out is not None:
        keep(out, kept_as(CLAIMS, claims_document(rows)))
        note(f"kept in {out}")
    for line in failed:
        complain(line)
    return 1 if failed else 0
