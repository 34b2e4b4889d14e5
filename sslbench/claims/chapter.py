"""Claims with their verdicts, and what simulators returned, as chapters of a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.kept import (
    CLAIMS,
    SIMULATION,
    KeptSimulation,
    digest_of,
    figure_path,
    read_claims,
    read_simulation,
)
from sslbench.claims.simulate import INSTALL
from sslbench.claims.simulation_table import column
from sslbench.claims.text import tally
from sslbench.contracts.simulator import Claim
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Chapter, Gallery, Image, Lines, Part, Section, Table
from sslbench.report.html.sections.origin import how_it_was_made
from sslbench.report.numbers import listed
from sslbench.report.rows import shown
from sslbench.report.text import Column, first_names, plural

MOST_ROWS, LONG = 200, 20
"""rows of a table that a page shows, and from which on only those who ask for it see it"""


def of_claims(folder: Folder) -> Chapter | None:
    """Every claim with its verdict, the evidence and the command; None without any. Raises DamagedRecord."""
    found = next((found for found in folder.found if found.kind == CLAIMS), None)
    if found is None:
        return None
    rows = read_claims(found.document, str(folder.path / found.place))
    sections = [
        Section("claims", "Claims", [claims_table(rows, "All claims with their verdicts")]),
        how_it_was_made(found),
    ]
    title = f"{folder.name}: claims"
    return Chapter("", title, [f"{tally([row.verdict for row in rows])}."], "", sections)


def claims_table(rows: Sequence[Claim | ClaimRow], caption: str) -> Table:
    """One row a claim."""
    columns = [
        Column("verdict", [row.verdict for row in rows]),
        Column("claim", [f"{row.statement} ({row.source})" for row in rows]),
        Column("evidence", [evidence(row) for row in rows]),
    ]
    commands = [row.command for row in rows if isinstance(row, ClaimRow)]
    columns += [Column("command", commands)] if commands else []
    return Table(caption, columns, prose=True)


def evidence(row: Claim | ClaimRow) -> str:
    """What was tested, what was measured, and on which seeds."""
    seeds = f" (seeds {listed(row.seeds)})" if row.seeds else ""
    return f"Tested: {row.expected}. Measured: {row.measured}{seeds}."


def of_simulations(folder: Folder) -> Chapter | None:
    """A section for each simulator; None without any. Raises DamagedRecord."""
    kept = [found for found in folder.found if found.kind == SIMULATION]
    if not kept:
        return None
    simulations = [read_simulation(found.document, str(folder.path / found.place)) for found in kept]
    verdicts = [claim.verdict for simulation in simulations for claim in simulation.claims]
    names = ", ".join(simulation.simulator for simulation in simulations)
    lead = [f"{tally(verdicts)}." if verdicts else "No claim was tested."]
    sections = [of_simulation(folder, simulation) for simulation in simulations]
    made = {found.command: how_it_was_made(found) for found in kept}
    ends = [replace(section, id=f"made-{number}") for number, section in enumerate(made.values(), 1)]
    return Chapter("", f"{folder.name}: simulations", lead, names, [*sections, *ends])


def of_simulation(folder: Folder, simulation: KeptSimulation) -> Section:
    """Claims, what follows, figures and tables of one simulator."""
    settings = "".join(f", {name}={shown(value)}" for name, value in simulation.parameters.items() if shown(value))
    parts: list[Part] = []
    if simulation.claims:
        parts.append(Lines([f"{tally([claim.verdict for claim in simulation.claims])}."]))
        parts.append(claims_table(simulation.claims, f"Claims of {simulation.simulator} with their verdicts"))
    parts += [Lines([simulation.advice], "In practice")] if simulation.advice else []
    images, damaged = figures_of(folder, simulation)
    parts += [Gallery(images, "Figures")] if images else []
    if simulation.undrawn:
        line = f"{first_names(simulation.undrawn)}: not drawn, for matplotlib was not installed ({INSTALL})"
        parts.append(Lines([line], "Figures"))
    parts += [Lines(damaged, "Damaged")] if damaged else []
    parts += [
        table
        for name, rows in simulation.tables.items()
        if (table := table_of(simulation.simulator, name, rows)) is not None
    ]
    parts.append(Lines([f"seed {simulation.seed}{settings}"], quiet=True))
    return Section(f"simulation-{simulation.simulator}", simulation.simulator, parts, simulation.summary)


def figures_of(folder: Folder, simulation: KeptSimulation) -> tuple[list[Image], list[str]]:
    """Its figures, and a line for each that cannot be shown."""
    images, damaged = [], []
    for name, digest in simulation.figures.items():
        path = figure_path(folder.path, simulation.simulator, name)
        try:
            if digest_of(path) != digest:
                damaged.append(f"{path}: damaged: its bytes do not match its digest; it is left out")
                continue
            source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        except OSError as error:
            damaged.append(f"{path}: cannot be read: {error.strerror}; it is left out")
            continue
        images.append(Image(source, f"{simulation.simulator}: {name.replace('-', ' ').replace('_', ' ')}"))
    return images, damaged


def table_of(of: str, name: str, rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """One table, with the reasons of what is undefined; the first rows of a long one."""
    if not rows:
        return None
    kept = rows[:MOST_ROWS]
    reasons = list(dict.fromkeys(str(row["reason"]) for row in kept if row.get("reason")))
    more = [f"the first {MOST_ROWS} of {plural(len(rows), 'row')}; the file has all"] if len(rows) > MOST_ROWS else []
    columns = [column(key, kept) for key in rows[0] if key != "reason"]
    return Table(f"{of}: {name.replace('_', ' ')}", columns, notes=[*reasons, *more], folded=len(rows) > LONG)
