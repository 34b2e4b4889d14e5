"""What moved from one results folder to another."""

from __future__ import annotations

from dataclasses import replace

from sslbench.report.charts import changes
from sslbench.report.compare.comparison import compare
from sslbench.report.compare.sides import load_side
from sslbench.report.compare.table import answer, blocks_below, columns
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Drawing, Lines, Part, Section, Table
from sslbench.report.html.sections.doubts import some
from sslbench.report.html.sections.first import shortened

MOST_LINES = 400
ALL = "sslbench compare A B prints all"


def between(first: Folder, second: Folder) -> Section:
    """As ``sslbench compare A B`` says it."""
    sides = [replace(load_side(side.path), name=side.name) for side in (first, second)]
    comparison = compare(sides[0], sides[1])
    parts: list[Part] = [Drawing.of(panel) for panel in changes.panels(comparison.changes)]
    if comparison.differences:
        parts.append(Lines(some(comparison.differences, ALL), "What differs between A and B"))
    if comparison.changes:
        names = [{"recipe": change.recipe} for change in comparison.changes]
        table = Table("Changes from A to B", columns(comparison, 0), names, folded=True)
        parts.append(shortened(table, MOST_LINES, ALL))
    parts += [Lines(some(lines, ALL), heading) for heading, lines in blocks_below(comparison) if lines]
    intro = f"A is {first.name}, B is {second.name}. {answer(comparison)}"
    return Section("changes", f"{second.name} against {first.name}", parts, intro)
