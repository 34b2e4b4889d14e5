"""Simulations (tables, claims with a mark each, and what follows) and the table of all claims, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.simulate import Simulation
from sslbench.claims.simulation_table import table
from sslbench.contracts.simulator import Claim
from sslbench.report.text import Column, fitted, markdown, plural, wrapped

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
NO_VERDICT = "…"
"""marks a claim that no run has tested yet"""


def render_simulation(simulation: Simulation, fmt: str, claims_only: bool = False) -> str:
    """One simulation as text without a newline at the end. ``fmt``: ``table`` or ``markdown``."""
    return {"table": as_text, "markdown": as_markdown}[fmt](simulation, claims_only)


def render_json(simulations: Sequence[Simulation], claims_only: bool = False, *, single: bool) -> str:
    """The one object itself where ``single``, else an object with the list of them."""
    objects = [
        {
            "schema": 2,
            "simulator": simulation.name,
            "seed": simulation.seed,
            "parameters": simulation.parameters,
            "tables": {} if claims_only else dict(simulation.result.tables),
            "claims": [asdict(claim) for claim in simulation.result.claims],
        }
        for simulation in simulations
    ]
    return json.dumps(objects[0] if single else {"schema": 2, "simulations": objects}, indent=1, allow_nan=False)


def render_claims(rows: Sequence[ClaimRow], fmt: str) -> str:
    """The claims as text without a newline at the end; ``fmt``: ``table``, ``markdown`` or ``json``."""
    if fmt == "json":
        return json.dumps({"schema": 2, "claims": [asdict(row) for row in rows]}, indent=1, allow_nan=False)
    counts = tally([row.verdict for row in rows])
    cells = {
        "verdict": [f"{MARKS.get(row.verdict, NO_VERDICT)} {row.verdict}" for row in rows],
        "claim": [row.statement for row in rows],
        "evidence": [row.measured for row in rows],
        "command": [row.command for row in rows],
    }
    if fmt == "markdown":
        return f"{markdown([Column(name, texts) for name, texts in cells.items()])}\n\n{counts}"
    # An empty line keeps rows of several lines apart.
    columns = [Column(name, [f"{text}\n" for text in texts]) for name, texts in cells.items()]
    return f"{fitted(columns)}\n{counts}"


def as_text(simulation: Simulation, claims_only: bool) -> str:
    """For a terminal."""
    result = simulation.result
    title = f"{simulation.name}, seed {simulation.seed}"
    parts = ["\n".join([title, "=" * len(title), wrapped(simulation.summary)])]
    if not claims_only:
        parts += [f"{name.replace('_', ' ')}\n\n{table(rows)}" for name, rows in result.tables.items()]
    if result.claims:
        parts.append(f"claims ({seeds_of(result.claims)})\n\n" + "\n".join(map(claim_text, result.claims)))
        parts.append(tally([claim.verdict for claim in result.claims]))
    if result.advice:
        parts.append(wrapped(f"In practice: {result.advice}"))
    return "\n\n".join(parts)


def as_markdown(simulation: Simulation, claims_only: bool) -> str:
    """Headings and tables as GitHub shows them."""
    result = simulation.result
    parts = [f"## {simulation.name}", f"{simulation.summary} Seed {simulation.seed}."]
    if not claims_only:
        for name, rows in result.tables.items():
            parts += [f"### {name.replace('_', ' ')}", table(rows, as_markdown=True)]
    if result.claims:
        verdicts = [claim.verdict for claim in result.claims]
        columns = [
            Column("verdict", [f"{MARKS[verdict]} {verdict}" for verdict in verdicts]),
            Column("claim", [claim.statement for claim in result.claims]),
            *(Column(name, [getattr(claim, name) for claim in result.claims]) for name in ("expected", "measured")),
        ]
        parts += [f"### claims ({seeds_of(result.claims)})", markdown(columns), tally(verdicts)]
    if result.advice:
        parts.append(f"**In practice:** {result.advice}")
    return "\n\n".join(parts)


def claim_text(claim: Claim) -> str:
    """The verdict and the sentence, then what was tested and what was measured."""
    head = f"  {MARKS[claim.verdict]} {claim.verdict:<9}  "
    indent = " " * len(head)
    evidence = (f"tested: {claim.expected}", f"measured: {claim.measured}")
    return "\n".join([wrapped(claim.statement, head, indent), *(wrapped(e, indent, f"{indent}  ") for e in evidence)])


def tally(verdicts: Sequence[str]) -> str:
    """``7 claims: 5 hold, 2 fail``; other verdicts are counted in their own words."""
    plurals = {"holds": "hold", "fails": "fail"}
    counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys([*MARKS, *verdicts]) if verdict in verdicts}
    words = [f"{count} {plurals.get(verdict, verdict) if count > 1 else verdict}" for verdict, count in counts.items()]
    return f"{plural(len(verdicts), 'claim')}: {', '.join(words)}"


def seeds_of(claims: Sequence[Claim]) -> str:
    """Which seeds verdicts rest on, in words."""
    seeds = sorted({seed for claim in claims for seed in claim.seeds})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}, {len(seeds)} of them"
