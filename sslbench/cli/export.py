"""``sslbench export``."""

from __future__ import annotations

from pathlib import Path

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import record_fields, result_folders
from sslbench.cli.options import TRUST, UserPath
from sslbench.cli.streams import say, show


@click.command(
    "export",
    cls=Command,
    examples=[
        "sslbench export sslbench-results/quick --where method=simclr -o encoder",
        "sslbench embed photos -m encoder -o features.parquet    # what it is good for",
    ],
)
@click.argument("folder", metavar="DIR", type=UserPath(), shell_complete=result_folders)
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=VALUE",
    shell_complete=record_fields,
    help="Which training, such as method=simclr; repeatable.",
)
@click.option("--trust", is_flag=True, help=TRUST)
@click.option("-o", "--out", required=True, metavar="FOLDER", type=UserPath(), help="Folder to write.")
def command(folder: Path, where: tuple[str, ...], out: Path, trust: bool) -> None:
    """Write the trained encoder of a result in DIR as model.safetensors and config.json, in timm's layout.

    ``-m pretrained:path=FOLDER`` and, where the network is one of timm's, plain timm load it back to the same features.
    """
    from sslbench.advise.export import export
    from sslbench.report.rows import filter_records
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_reading(folder) as store:
        stored = store.read()
    for damage in stored.damaged:
        say(f"warning: {damage}; it is left out")
    model = export(filter_records(stored.records, list(where)), folder, out, trust=trust)
    show(f"{model.title}: {model.features} features, {model.parameters:,} parameters, in {out}")
    for line in model.ways:
        show(f"  {line}")
