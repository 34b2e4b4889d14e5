"""Simulations as text: tables, claims with a mark each, and what follows; or as Markdown or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sslbench.hooks.contracts import Claim
from sslbench.report.figures import NOTHING, decimals, fixed
from sslbench.report.grid import Column, markdown, terminal

if TYPE_CHECKING:
    from sslbench.execute.simulate import Simulation

WIDTH = 110
LONGEST = 60
"""rows of a table that are printed; a longer one is left to JSON"""
LISTED = 16
"""items of a list that are printed"""
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
Rows = Sequence[Mapping[str, Any]]


def render_simulations(simulations: Iterable[Simulation], fmt: str, *, claims_only: bool, single: bool) -> str:
    """All of them as text without a newline at the end. ``fmt``: ``table``, ``markdown`` or ``json``.

    ``single``: JSON is the one object itself, not a list of them.
    """
    if fmt == "json":
        objects = [as_object(one, claims_only) for one in simulations]
        document = objects[0] if single else {"schema": 1, "simulations": objects}
        return json.dumps(document, indent=1, allow_nan=False)
    write = as_text if fmt == "table" else as_markdown
    return "\n\n\n".join(write(one, claims_only) for one in simulations)


def as_object(one: Simulation, claims_only: bool) -> dict[str, Any]:
    return {
        "schema": 1,
        "simulator": one.name,
        "seed": one.seed,
        "parameters": one.parameters,
        "tables": {} if claims_only else dict(one.result.tables),
        "claims": [claim_object(claim) for claim in one.result.claims],
    }


def claim_object(claim: Claim) -> dict[str, Any]:
    words = {key: getattr(claim, key) for key in ("statement", "source", "expected", "measured", "verdict")}
    return {**words, "seeds": list(claim.seeds)}


def as_text(one: Simulation, claims_only: bool) -> str:
    title = f"{one.name} (seed {one.seed}): {one.summary}"
    parts = [f"{title}\n{'=' * min(len(title), WIDTH)}"]
    if not claims_only:
        for name, rows in one.result.tables.items():
            parts.append(f"{name.replace('_', ' ')}\n\n{table(rows)}")
    if one.result.claims:
        parts.append(f"claims ({of_seeds(one.result.claims)})\n\n" + "\n".join(map(claim_text, one.result.claims)))
        parts.append(tally(one.result.claims))
    if one.result.advice:
        parts.append(wrapped(f"In practice: {one.result.advice}"))
    return "\n\n".join(parts)


def as_markdown(one: Simulation, claims_only: bool) -> str:
    parts = [f"## {one.name}", f"{one.summary} Seed {one.seed}."]
    if not claims_only:
        for name, rows in one.result.tables.items():
            parts += [f"### {name.replace('_', ' ')}", table(rows, as_markdown=True)]
    if one.result.claims:
        columns = [
            Column("verdict", [f"{MARKS[c.verdict]} {c.verdict}" for c in one.result.claims]),
            Column("claim", [c.statement for c in one.result.claims]),
            Column("expected", [c.expected for c in one.result.claims]),
            Column("measured", [c.measured for c in one.result.claims]),
        ]
        parts += [f"### claims ({of_seeds(one.result.claims)})", markdown(columns), tally(one.result.claims)]
    if one.result.advice:
        parts.append(f"**In practice:** {one.result.advice}")
    return "\n\n".join(parts)


def claim_text(claim: Claim) -> str:
    """The verdict and the sentence, then what was tested and what was seen."""
    head = f"  {MARKS[claim.verdict]} {claim.verdict:<9}  "
    indent = " " * len(head)
    lines = [wrapped(claim.statement, head, indent)]
    lines += [wrapped(f"{word}: {text}", indent, f"{indent}  ") for word, text in explained(claim)]
    return "\n".join(lines)


def explained(claim: Claim) -> list[tuple[str, str]]:
    return [("tested", claim.expected), ("seen", claim.measured)]


def tally(claims: Sequence[Claim]) -> str:
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in MARKS}
    words = ", ".join(
        f"{count} {'hold' if count != 1 else 'holds'}" if v == "holds" else said(v, count)
        for v, count in counts.items()
        if count
    )
    return f"{len(claims)} claim{'s' if len(claims) != 1 else ''}: {words}"


def said(verdict: str, count: int) -> str:
    return f"{count} {'fail' if count != 1 else 'fails'}" if verdict == "fails" else f"{count} {verdict}"


def of_seeds(claims: Sequence[Claim]) -> str:
    seeds = sorted({seed for claim in claims for seed in claim.seeds})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}, {len(seeds)} of them"


def table(rows: Rows, as_markdown: bool = False) -> str:
    """The rows in columns, reasons of what is undefined below; a long table is only described."""
    if not rows:
        return "no rows"
    names = [name for name in rows[0] if name != "reason"]
    if len(rows) > LONGEST:
        return wrapped(f"{len(rows):,} rows, in --format json: {', '.join(names)}")
    columns = [column(name, [row[name] for row in rows]) for name in names]
    text = markdown(columns) if as_markdown else terminal(columns, gap=2, broken_headers=True)
    reasons = {
        row["reason"]: sum(other.get("reason") == row["reason"] for other in rows) for row in rows if row.get("reason")
    }
    notes = [f"{NOTHING} {reason}" + (f" ({count} rows)" if count > 1 else "") for reason, count in reasons.items()]
    return "\n".join([text, *([""] if notes else []), *notes])


def column(name: str, values: Sequence[Any]) -> Column:
    number = any(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    return Column(name.replace("_", " "), shown(values), number)


def shown(values: Sequence[Any]) -> list[str]:
    """Cells of one column, all numbers to the same precision."""
    floats = [value for value in values if isinstance(value, float)]
    return [cell(value, floats) for value in values]


def cell(value: Any, floats: Sequence[float]) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, floats)
    if isinstance(value, (list, tuple)):
        listed = " ".join(map(str, value[:LISTED]))
        return f"{listed} ... ({len(value)})" if len(value) > LISTED else listed
    return str(value)


def number(value: float, column: Sequence[float]) -> str:
    """As it is where the whole column is short; else to decimals that fit the column, or to three digits."""
    if all(one == int(one) for one in column):
        return f"{value:,.0f}"
    if all(float(f"{one:.4g}") == one for one in column):
        return f"{value:g}"
    sizes = [abs(one) for one in column if one]
    if max(sizes) > 1000 * min(sizes) and min(sizes) < 1e-3:
        return f"{value:.3g}"
    return fixed(value, decimals(column))


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
