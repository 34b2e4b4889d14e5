"""A comparison as text: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections import Counter
from typing import Any

from sslbench.report.compare.change import WORDS, Change, in_unit, percents, signed
from sslbench.report.compare.comparison import Comparison, OneSided
from sslbench.report.text import Column, markdown, terminal
from sslbench.report.numbers import NOTHING, listed
from sslbench.report.rows import AXES

WIDTH = 120
RECIPE = 30
"""characters of a line of a recipe's name in a terminal"""
VERDICTS = {"worse": "worse", "better": "better", "moved": "moved", "tie": "ties", "unsure": "unsure"}


def render_comparison(found: Comparison, fmt: str) -> str:
    """As text without a newline at the end; ``fmt``: ``table``, ``markdown``, ``csv`` or ``json``."""
    return {"table": as_table, "markdown": as_markdown, "csv": as_csv, "json": as_json}[fmt](found)


def as_table(found: Comparison) -> str:
    parts = [wrapped(title(found))]
    if found.changes:
        parts.append(terminal(columns(found, RECIPE), gap=2, broken_headers=False))
    for heading, lines in below(found):
        parts.append("\n".join([f"{heading}:", *(wrapped(line, "  ") for line in lines)]))
    return "\n\n".join(parts)


def as_markdown(found: Comparison) -> str:
    parts = [title(found)]
    if found.changes:
        parts.append(markdown(columns(found, 0)))
    for heading, lines in below(found):
        parts.append("\n".join([f"**{heading}**", "", *(f"- {line}" for line in lines)]))
    return "\n\n".join(parts)


def title(found: Comparison) -> str:
    counts = Counter(change.verdict for change in found.changes)
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in VERDICTS.items() if counts[verdict])
    return f"A {found.first} · B {found.second} · {told or 'nothing is measured in both'}"


def columns(found: Comparison, wrap: int) -> list[Column]:
    """A row a change, what moved first in each recipe. ``wrap``: width at which recipes are broken; 0: never."""
    rows, shown = [], []
    for recipe in dict.fromkeys(change.recipe for change in found.changes):
        mine = sorted(of(found, recipe), key=lambda one: one.verdict == "tie")
        rows += mine
        shown += spread_over(textwrap.wrap(recipe, wrap), len(mine)) if wrap else [recipe] * len(mine)
    return [
        Column("recipe", shown),
        Column("quantity", [change.quantity for change in rows]),
        Column("A", [in_unit(change.before, change.unit) for change in rows], number=True),
        Column("B", [in_unit(change.after, change.unit) for change in rows], number=True),
        Column("change %", [change_in_percent(change) for change in rows], number=True),
        Column("95% interval", [interval(change) for change in rows], number=True),
        Column("over", [over(change) for change in rows]),
        Column("", [change.verdict for change in rows]),
    ]


def spread_over(lines: list[str], rows: int) -> list[str]:
    """A line of text for each row, empty ones where there are fewer; what is left over goes to the last row."""
    cells = [*lines[: rows - 1], "\n".join(lines[rows - 1 :])]
    return cells + [""] * (rows - len(cells))


def of(found: Comparison, recipe: str) -> list[Change]:
    return [change for change in found.changes if change.recipe == recipe]


def change_in_percent(change: Change) -> str:
    return NOTHING if change.relative is None else signed(100 * change.relative)


def interval(change: Change) -> str:
    return NOTHING if change.interval is None or change.over == "exact" else percents(change.interval)


def over(change: Change) -> str:
    return f"{len(change.seeds)} seeds" if change.over == "seeds" else WORDS[change.over]


def below(found: Comparison) -> list[tuple[str, list[str]]]:
    """What is said below the table: headings with their lines."""
    blocks = []
    for side, other in (("A", "B"), ("B", "A")):
        lines = [lone_in_words(one, other) for one in found.lone if one.side == side]
        blocks.append((f"Measured in {side} only", lines))
    blocks.append(("Different machines, so speeds compare them as well", list(found.machines)))
    blocks.append(("How to read it", notes(found)))
    blocks.append(("Beyond the limits", list(found.exceeded)))
    return [(heading, lines) for heading, lines in blocks if lines]


def lone_in_words(one: OneSided, other: str) -> str:
    seeds = f"seed{'s' if len(one.seeds) > 1 else ''} {listed(one.seeds)}"
    return f"{one.recipe}, {seeds}: {', '.join(one.quantities)} (in {other}: {one.reason or 'no such cell'})"


def notes(found: Comparison) -> list[str]:
    used = {change.over for change in found.changes}
    lines = []
    judged = [change for change in found.changes if change.interval is not None and change.over != "exact"]
    if judged:
        count = f"{len(judged)} comparison{'s' if len(judged) > 1 else ''}"
        lines.append(f"better, worse: the 95% interval of the change excludes 0, by chance once in 20; here {count}")
    if "unsure" in {change.verdict for change in found.changes}:
        lines.append("unsure: one value on each side and no spread to judge by; more seeds give one")
    if used & {"steps", "IQR"}:
        lines.append(
            "over steps: within one run of each; what differs from run to run on a shared machine is not in it."
            " A ratio measured within one run is surer (the fixture sslbench_speed)"
        )
    return lines


def as_object(change: Change) -> dict[str, Any]:
    known = change.interval is not None and math.isfinite(change.interval.low) and math.isfinite(change.interval.high)
    return {
        "recipe": change.recipe,
        **{axis: change.axes.get(axis) for axis in AXES},
        "quantity": change.quantity,
        "unit": change.unit,
        "higher_is_better": change.higher_is_better,
        "a": change.before,
        "b": change.after,
        "change": change.relative,
        "low": change.interval.low if known and change.interval else None,
        "high": change.interval.high if known and change.interval else None,
        "over": change.over,
        "seeds": list(change.seeds),
        "verdict": change.verdict,
    }


def as_csv(found: Comparison) -> str:
    """The changes alone, unrounded."""
    rows = [{**as_object(change), "seeds": " ".join(map(str, change.seeds))} for change in found.changes]
    text = io.StringIO()
    names = ["recipe", *AXES, "quantity", "unit", "higher_is_better", "a", "b", "change", "low", "high", "over"]
    writer = csv.DictWriter(text, [*names, "seeds", "verdict"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def as_json(found: Comparison) -> str:
    lone = [
        {"side": one.side, "recipe": one.recipe, "quantities": one.quantities, "seeds": one.seeds, "reason": one.reason}
        for one in found.lone
    ]
    document = {
        "schema": 1,
        "a": found.first,
        "b": found.second,
        "changes": [as_object(change) for change in found.changes],
        "only": lone,
        "machines": found.machines,
        "limits": [str(limit) for limit in found.limits],
        "exceeded": found.exceeded,
    }
    return json.dumps(document, indent=1, allow_nan=False)
