"""``sslbench run``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from sslbench.cli.command import Command
from sslbench.cli.interrupts import interrupted
from sslbench.cli.options import SECTIONS, details_option, format_option, read_request, suite_options, suites_line
from sslbench.cli.streams import QUIET, note, say, show


@click.command(
    "run",
    cls=Command,
    epilog=suites_line(),
    sections=SECTIONS,
    examples=[
        "sslbench run",
        "sslbench run --seeds 0-2 --out first            # mean and spread over seeds",
        "sslbench run -d photos -m simclr -m random-init -e knn",
        "sslbench run -m simclr:temperature=0.2,lr=0.1 -m mae -k block:ratio=0.5",
    ],
)
@suite_options
@format_option("table", "markdown", "csv", "json", what="result on stdout")
@details_option
def command(format_: str, details: bool, **options: Any) -> int:
    """Run SUITE, a built-in name or a TOML file (default: quick), and print which recipe is best, and a table with
    quality and speed in every row.

    Plugins that are named are run in the place of the suite's. One that the suite has keeps the suite's settings, under
    those that are given with it; NAME:preset=default leaves them out.

    What is done already is not run again. The result goes to stdout, progress and warnings to stderr. Exit codes: 0 all
    is well, 1 a cell failed, 2 nothing could be run, 3 not stored.
    """
    request = read_request(options)
    from sslbench.execute.scheduler import run
    from sslbench.progress.display import Display

    with Display(quiet=QUIET.get()) as display:
        outcome = run(request, display.show)
    from sslbench.report.tables import left_to_run, render
    from sslbench.report.text import plural

    for line in outcome.notes:
        say(line)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(outcome.statuses.items())) or "no cell"
    stored = f"results: {outcome.out}" if outcome.store_error is None else f"not stored: {outcome.store_error}"
    if outcome.all_skipped:
        say(f"nothing could be run: {counts}")
        for reason, count in Counter(record.reason for record in outcome.records).items():
            say(f"{plural(count, 'cell')}: {reason}")
        if format_ != "json":
            return outcome.exit_code
    try:
        text = render(
            outcome.records, format_, outcome.suite, outcome.out, unfinished=outcome.unfinished, details=details
        )
        show(text, format_, lead=True)
    finally:
        (say if outcome.exit_code else note)(f"{counts}; {outcome.trained} run now; {stored}")
    for item in outcome.unfinished if format_ == "csv" else ():
        say(left_to_run(item))
    if outcome.detached is not None:
        say(f"{plural(outcome.detached, 'pretraining')} left to the cluster; the same command picks up what it did")
    if outcome.interrupted:
        say(f"{interrupted()}; the same command goes on from here")
    return outcome.exit_code
