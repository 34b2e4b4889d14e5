"""Simulations as text: tables, claims with a mark each, and what follows; or as Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sslbench.claims.simulate import Simulation
from sslbench.claims.simulation_table import table
from sslbench.contracts.simulator import Claim
from sslbench.report.text import Column, markdown, plural, wrapped

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}


def render_simulation(simulation: Simulation, fmt: str, claims_only: bool = False) -> str:
    """One simulation as text without a newline at the end. ``fmt``: ``table`` or ``markdown``."""
    return {"table": as_text, "markdown": as_markdown}[fmt](simulation, claims_only)


def render_json(simulations: Sequence[Simulation], claims_only: bool = False, *, single: bool) -> str:
    """The one object itself where ``single``, else an object with the list of them."""
    objects = [as_object(simulation, claims_only) for simulation in simulations]
    return json.dumps(objects[0] if single else {"schema": 2, "simulations": objects}, indent=1, allow_nan=False)


def as_object(simulation: Simulation, claims_only: bool) -> dict[str, Any]:
    """JSON-able values."""
    return {
        "schema": 2,
        "simulator": simulation.name,
        "seed": simulation.seed,
        "parameters": simulation.parameters,
        "tables": {} if claims_only else dict(simulation.result.tables),
        "claims": [{**asdict(claim), "seeds": list(claim.seeds)} for claim in simulation.result.claims],
    }


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
        columns = [
            Column("verdict", [f"{MARKS[claim.verdict]} {claim.verdict}" for claim in result.claims]),
            Column("claim", [claim.statement for claim in result.claims]),
            Column("expected", [claim.expected for claim in result.claims]),
            Column("measured", [claim.measured for claim in result.claims]),
        ]
        verdicts = [claim.verdict for claim in result.claims]
        parts += [f"### claims ({seeds_of(result.claims)})", markdown(columns), tally(verdicts)]
    if result.advice:
        parts.append(f"**In practice:** {result.advice}")
    return "\n\n".join(parts)


def claim_text(claim: Claim) -> str:
    """The verdict and the sentence, then what was tested and what was measured."""
    head = f"  {MARKS[claim.verdict]} {claim.verdict:<9}  "
    indent = " " * len(head)
    evidence = {"tested": claim.expected, "measured": claim.measured}
    lines = [wrapped(claim.statement, head, indent)]
    lines += [wrapped(f"{word}: {text}", indent, f"{indent}  ") for word, text in evidence.items()]
    return "\n".join(lines)


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
