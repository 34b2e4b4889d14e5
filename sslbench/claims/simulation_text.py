"""Simulations as text: tables, claims with a mark each, and what follows; or as Markdown or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sslbench.contracts.simulator import Claim
from sslbench.report.text import Column, markdown, terminal
from sslbench.report.numbers import NOTHING, decimals, fixed, three_digits

if TYPE_CHECKING:
    from sslbench.claims.simulate import Simulation

WIDTH = 120
LONGEST = 60
"""rows of a table that are printed; a longer one is left to JSON"""
LONG_CELL = 64
"""characters of a line of a cell"""
LISTED = 16
"""items of a list that are printed"""
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
Rows = Sequence[Mapping[str, Any]]


def render_simulation(one: Simulation, fmt: str, claims_only: bool = False) -> str:
    """One of them as text without a newline at the end. ``fmt``: ``table`` or ``markdown``."""
    return {"table": as_text, "markdown": as_markdown}[fmt](one, claims_only)


def render_json(simulations: Sequence[Simulation], claims_only: bool = False, *, single: bool) -> str:
    """The one object itself where ``single``, else an object with the list of them."""
    objects = [as_object(one, claims_only) for one in simulations]
    return json.dumps(objects[0] if single else {"schema": 1, "simulations": objects}, indent=1, allow_nan=False)


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
    title = f"{one.name}, seed {one.seed}"
    parts = ["\n".join([title, "=" * len(title), wrapped(one.summary)])]
    if not claims_only:
        for name, rows in one.result.tables.items():
            parts.append(f"{name.replace('_', ' ')}\n\n{table(rows)}")
    if one.result.claims:
        parts.append(f"claims ({of_seeds(one.result.claims)})\n\n" + "\n".join(map(claim_text, one.result.claims)))
        parts.append(tally([claim.verdict for claim in one.result.claims]))
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
        parts += [
            f"### claims ({of_seeds(one.result.claims)})",
            markdown(columns),
            tally([claim.verdict for claim in one.result.claims]),
        ]
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


def tally(verdicts: Sequence[str]) -> str:
    """``7 claims: 5 hold, 2 fail``; what is neither is said in its own words."""
    plural = {"holds": "hold", "fails": "fail"}
    counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys([*MARKS, *verdicts]) if verdict in verdicts}
    words = [f"{count} {plural.get(v, v) if count > 1 else v}" for v, count in counts.items()]
    return f"{len(verdicts)} claim{'s' if len(verdicts) > 1 else ''}: {', '.join(words)}"


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
    if as_markdown:
        text = markdown([column(name, rows) for name in names])
    else:
        text = "\n\n".join(drawn(block, rows) for block in fitting(names, rows))
    told = [row["reason"] for row in rows if row.get("reason")]
    notes = [
        f"{NOTHING} {reason}" + (f" ({n} rows)" if (n := told.count(reason)) > 1 else "")
        for reason in dict.fromkeys(told)
    ]
    return "\n".join([text, *([""] if notes else []), *notes])


def fitting(names: list[str], rows: Rows) -> list[list[str]]:
    """The columns in as few blocks as fit the terminal, about equally wide; each block begins with those that tell
    the rows apart."""
    if width(names, rows) <= WIDTH:
        return [names]
    lengths = range(1, len(names))
    keys = next((n for n in lengths if len({tuple(str(row[k]) for k in names[:n]) for row in rows}) == len(rows)), 0)
    blocks = cut(names, keys, rows, WIDTH)
    narrower = (cut(names, keys, rows, limit) for limit in range(WIDTH // 2, WIDTH, 4))
    return next((even for even in narrower if len(even) == len(blocks)), blocks)


def cut(names: list[str], keys: int, rows: Rows, limit: int) -> list[list[str]]:
    """Blocks of columns, each filled up to ``limit`` characters, after the first ``keys`` columns in every one."""
    blocks: list[list[str]] = []
    for name in names[keys:]:
        if blocks and width([*blocks[-1], name], rows) <= limit:
            blocks[-1].append(name)
        else:
            blocks.append([*names[:keys], name])
    return blocks


def drawn(names: list[str], rows: Rows) -> str:
    columns = [column(name, rows) for name in names]
    folded = [replace(one, cells=[textwrap.fill(cell, LONG_CELL) or cell for cell in one.cells]) for one in columns]
    return terminal(folded, gap=2, broken_headers=True)


def width(names: list[str], rows: Rows) -> int:
    return max(map(len, drawn(names, rows).split("\n")))


def column(name: str, rows: Rows) -> Column:
    values = [row[name] for row in rows]
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
    if max(sizes) > 1000 * min(sizes) or max(sizes) < 1e-6:
        return three_digits(value)
    text = fixed(value, decimals(column))
    return text.removeprefix("-") if float(text) == 0 else text
