"""A comparison as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from sslbench.report.comma_separated import as_csv
from sslbench.report.compare.change import Change, in_unit, percents, signed
from sslbench.report.compare.comparison import Comparison, OneSided
from sslbench.report.numbers import NOTHING, listed
from sslbench.report.rows import AXES
from sslbench.report.text import Block, Column, escaped, fitted, markdown, markdown_page, plural, terminal_page, wrapped
from sslbench.store.record import SCHEMA

RECIPE = 30
"""characters of a line of a recipe's name in a terminal"""
MOVED = {"worse": "worse in B", "better": "better in B", "moved": "other in B, and neither way is better"}
STAYED = {"tie": "within the spread", "unsure": "unsure"}
"""verdict -> in words"""
CHANCE = 20
"""comparisons of which chance moves one"""
COLUMNS = (
    "quantity",
    "unit",
    "higher_is_better",
    "a",
    "b",
    "change",
    "low",
    "high",
    "over",
    "seeds",
    "verdict",
    "differs",
)
"""of CSV and JSON, after the recipe and its axes"""


def render_comparison(comparison: Comparison, fmt: str) -> str:
    """As text without a newline at the end; ``fmt``: ``table``, ``markdown``, ``csv`` (changes alone) or ``json``."""
    rows = [as_object(change) for change in comparison.changes]
    if fmt == "csv":
        lists = ("seeds", "differs")
        lines = [{**row, **{name: " ".join(map(str, row[name])) for name in lists}} for row in rows]
        return as_csv(lines, ["recipe", *AXES, *COLUMNS])
    if fmt == "json":
        document = {
            "schema": SCHEMA,
            "a": comparison.first,
            "b": comparison.second,
            "differences": comparison.differences,
            "changes": rows,
            "only": [vars(item) for item in comparison.one_sided],
            "machines": comparison.machines,
            "limits": [str(limit) for limit in comparison.limits],
            "exceeded": comparison.exceeded,
        }
        return json.dumps(document, indent=1, allow_nan=False)
    above: list[Block] = [("What differs between A and B", comparison.differences)]
    blocks = blocks_below(comparison)
    if fmt == "markdown":
        table = [markdown(columns(comparison, 0))] if rows else []
        lead = f"**{escaped(answer(comparison))}**\n\n{title(comparison)}"
        return markdown_page(markdown_page(lead, [], above), table, blocks)
    tables = [fitted(columns(comparison, RECIPE), "--format csv")] if rows else []
    tables = [wrapped(title(comparison), rest="    "), terminal_page("", [], above), *tables]
    return terminal_page(answer(comparison), tables, blocks)


def answer(comparison: Comparison) -> str:
    """What moved beyond the spread, and what moved most, in a sentence."""
    if not comparison.changes:
        return "Nothing is measured in both."
    by_verdict: dict[str, list[Change]] = {}
    for change in comparison.changes:
        by_verdict.setdefault(change.verdict, []).append(change)
    parts = ["none is worse in B"] if "worse" not in by_verdict else []
    for verdict, words in MOVED.items():
        if own := by_verdict.get(verdict):
            most = max(own, key=lambda change: abs(change.relative or math.inf))
            share = "" if most.relative is None else f" {signed(100 * most.relative)}%"
            parts.append(f"{are(own)} {words}, most of all {most.quantity} of {most.recipe}{share}")
    parts += [f"{are(by_verdict[verdict])} {words}" for verdict, words in STAYED.items() if verdict in by_verdict]
    if by_chance := len(tested(comparison)) // CHANCE:
        parts.append(f"chance alone moves about {by_chance:,}")
    return f"Of {plural(len(comparison.changes), 'measured change')} {'; '.join(parts)}."


def tested(comparison: Comparison) -> list[Change]:
    """The changes that have an interval, which excludes 0 by chance once in ``CHANCE`` times."""
    return [change for change in comparison.changes if change.interval is not None and change.over != "exact"]


def are(changes: Sequence[Change]) -> str:
    """``1 is``, ``2 are``."""
    return f"{len(changes):,} {'is' if len(changes) == 1 else 'are'}"


def title(comparison: Comparison) -> str:
    """The two sides."""
    return f"A {comparison.first} · B {comparison.second}"


def columns(comparison: Comparison, wrap: int) -> list[Column]:
    """A row a change, what moved first in each recipe. ``wrap``: width at which recipes are broken; 0: never."""
    by_recipe: dict[str, list[Change]] = {}
    for change in comparison.changes:
        by_recipe.setdefault(change.recipe, []).append(change)
    rows: list[Change] = []
    names: list[str] = []
    for recipe, changes in by_recipe.items():
        rows += sorted(changes, key=lambda change: change.verdict == "tie")
        lines, last = textwrap.wrap(recipe, wrap) if wrap else [recipe] * len(changes), len(changes) - 1
        # A line for each row, empty ones where there are fewer; what is left over goes to the last row.
        names += [*lines[:last], "\n".join(lines[last:]), *[""] * (last - len(lines))]
    intervals = [percents(c.interval) if c.interval and c.over != "exact" else NOTHING for c in rows]
    return [
        Column("recipe", names),
        Column("quantity", [change.quantity for change in rows]),
        Column("A", [in_unit(change.before, change.unit) for change in rows], number=True, rank=1),
        Column("B", [in_unit(change.after, change.unit) for change in rows], number=True, rank=2),
        Column("change %", [NOTHING if c.relative is None else signed(100 * c.relative) for c in rows], number=True),
        Column("95% interval", intervals, number=True, rank=3),
        Column("over", [change.over_in_words for change in rows], rank=4),
        Column("", [change.verdict for change in rows]),
    ]


def blocks_below(comparison: Comparison) -> list[Block]:
    """What is said below the table."""
    one_sided = {side: [item for item in comparison.one_sided if item.side == side] for side in "AB"}
    return [
        ("Measured in A only", [one_sided_in_words(item, "B") for item in one_sided["A"]]),
        ("Measured in B only", [one_sided_in_words(item, "A") for item in one_sided["B"]]),
        ("How to read it", notes(comparison)),
        ("Beyond the limits", comparison.exceeded),
    ]


def one_sided_in_words(item: OneSided, other: str) -> str:
    """What, and what became of it on the other side."""
    seeds = f"seed{'s' if len(item.seeds) > 1 else ''} {listed(item.seeds)}"
    return f"{item.recipe}, {seeds}: {', '.join(item.quantities)} (in {other}: {item.reason or 'no such cell was run'})"


def notes(comparison: Comparison) -> list[str]:
    """What the verdicts mean, of those that are there."""
    sources = {change.over for change in comparison.changes}
    lines = []
    if comparison.machines:
        lines.append("speeds compare the machines as well")
    if others := sorted({name for change in comparison.changes for name in change.differs}):
        names = " and ".join(others)
        lines.append(f"other {names}: of one name on both sides, and not the same: such rows repeat no measurement")
    if intervals := len(tested(comparison)):
        count = plural(intervals, "comparison")
        lines.append(
            f"better, worse: the 95% interval of the change excludes 0, by chance once in {CHANCE}; here {count}"
        )
    if "unsure" in {change.verdict for change in comparison.changes}:
        lines.append("unsure: one value on each side and no spread to tell by; more seeds give one")
    if sources & {"steps", "IQR"}:
        lines.append(
            "over steps: within one run of each; what differs from run to run on a shared machine is not in it."
            " A ratio measured within one run is surer (the fixture sslbench_speed)"
        )
    return lines


def as_object(change: Change) -> dict[str, Any]:
    """One change, unrounded."""
    ends = (change.interval.low, change.interval.high) if change.interval else (math.nan, math.nan)
    low, high = ends if all(map(math.isfinite, ends)) else (None, None)
    return {
        "recipe": change.recipe,
        **{axis: change.axes.get(axis) for axis in AXES},
        **{name: getattr(change, name) for name in ("quantity", "unit", "higher_is_better")},
        "a": change.before,
        "b": change.after,
        "change": change.relative,
        "low": low,
        "high": high,
        "over": change.over,
        "seeds": list(change.seeds),
        "verdict": change.verdict,
        "differs": list(change.differs),
    }
