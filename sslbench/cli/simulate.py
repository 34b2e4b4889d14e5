"""``sslbench simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import plugins, settings_of_simulator
from sslbench.cli.numbers import Whole
from sslbench.cli.options import Choice, UserPath, check_folder, keep_option, kept_as
from sslbench.cli.streams import complain, note, show

if TYPE_CHECKING:
    from sslbench.claims.simulate import Simulation

FORMATS = Choice(["table", "markdown", "json"])


@click.command(
    "simulate",
    cls=Command,
    examples=[
        "sslbench simulate",
        "sslbench simulate momentum-dynamics --set steps=200 --claims-only",
        "sslbench simulate masking-comparator --figures figures",
        "sslbench simulate --out studies && sslbench report studies",
    ],
)
@click.argument("name", required=False, shell_complete=plugins("simulator"))
@click.option(
    "--seed",
    type=Whole(0, 2**32 - 1001),
    default=42,
    show_default=True,
    help="Seed of the tables; claims rest on it and those after it.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=settings_of_simulator,
    help="A parameter (see: sslbench show simulator NAME); repeatable.",
)
@click.option("--claims-only", is_flag=True, help="Leave the tables out.")
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="How results are printed.")
@click.option(
    "--figures",
    type=UserPath(file_okay=False),
    metavar="DIR",
    help="Save the figures in DIR, as PNG and SVG.",
)
@keep_option
def command(
    name: str | None,
    seed: int,
    settings: tuple[str, ...],
    claims_only: bool,
    format_: str,
    figures: Path | None,
    out: Path | None,
) -> int:
    """Run the simulator NAME, or all of them: small studies without training, and the claims that they test."""
    from sslbench.claims.simulate import check_figures, save_figures, simulate
    from sslbench.claims.text import render_json, render_simulation
    from sslbench.cli.options import read_settings

    failed: list[str] = []
    simulations = simulate([name] if name else None, seed=seed, given=read_settings(settings), failed=failed)
    if figures is not None:
        check_figures(figures)
    if out is not None:
        check_folder(out)
    finished = []
    for simulation in simulations:
        if format_ == "json":
            finished.append(simulation)
        else:
            show(render_simulation(simulation, format_, claims_only) + ("" if name else "\n\n"), format_)
        if figures is not None:
            for path in save_figures(simulation.name, simulation.result.figures, figures):
                note(f"wrote {path}")
        if out is not None:
            keep_simulation(simulation, out)
    if format_ == "json":
        show(render_json(finished, claims_only, single=name is not None), format_)
    for line in failed:
        complain(line)
    if out is not None:
        note(f"kept in {out}")
    return 1 if failed else 0


def keep_simulation(simulation: Simulation, out: Path) -> None:
    """In a results folder, with its figures."""
    from sslbench.claims.kept import SIMULATION, simulation_document
    from sslbench.store.found import keep

    keep(out, kept_as(SIMULATION, simulation_document(simulation, out), simulation.name))
