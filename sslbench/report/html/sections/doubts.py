"""What to know before a figure is believed: warnings, failures, skips, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.report.below import problems_below, weights_of_others
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Lines, Part, Section, Table
from sslbench.report.html.sections.first import shortened
from sslbench.report.numbers import NOTHING
from sslbench.report.rows import as_text, shown
from sslbench.report.text import Column
from sslbench.store.record import Record

FACTS = {
    "train_images": "images to train on",
    "test_images": "images to evaluate on",
    "evaluated_on": "split evaluated on",
    "classes": "classes",
    "majority_class": "largest class",
    "majority_share": "its share",
    "image_size": "side, px",
    "sides": "sides before, px",
    "duplicates": "evaluated on and trained on",
    "repeated": "repeated in training",
    "contradictory": "with two labels",
    "fingerprint": "fingerprint",
}
"""field of ``DataFacts`` -> header"""
MOST_LINES, MOST_SETTINGS = 12, 200
"""of one kind, and plugins with parameters of their own"""
HEADINGS = {
    "before you believe a figure": "",
    "not done": "Not done",
    "not measured": "Not measured",
    "skipped": "Skipped",
    "left out": "Left out",
}
"""of ``problems_below`` -> in this section"""


def doubts(folder: Folder) -> Section | None:
    """None where there is nothing to say."""
    blocks = dict(problems_below(folder.view, folder.superseded))
    parts: list[Part] = [Lines(some(blocks[name]), heading) for name, heading in HEADINGS.items() if blocks.get(name)]
    if folder.damaged:
        parts.append(Lines(some([f"{line}; it is left out" for line in folder.damaged]), "Damaged"))
    return Section("doubts", "Before you believe a figure", parts) if parts else None


def some(lines: Sequence[str], elsewhere: str = "sslbench results --details prints all") -> list[str]:
    """The first ones, and how many more there are; ``elsewhere``: where these are."""
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"{more:,} more like these: {elsewhere}"] if more > 0 else [])]


def data(folder: Folder) -> Section | None:
    """What was looked at."""
    known = {as_text([record.dataset, record.data.to_json()]): record for record in folder.cells if record.data}
    rows = list(known.values())
    parts: list[Part] = [Lines(folder.view.data_lines())] if folder.view.data_lines() else []
    if rows:
        columns = [Column("fact", list(FACTS.values()))]
        columns += [Column(str(record.dataset), [of_fact(record, name) for name in FACTS]) for record in rows]
        parts.append(Table("Facts of the images", columns, prose=True))
    return Section("data", "Data", parts) if parts else None


def of_fact(record: Record, name: str) -> str:
    """One fact of the data of a record."""
    value = getattr(record.data, name)
    if isinstance(value, tuple):
        return " to ".join(map(str, dict.fromkeys(value)))
    if isinstance(value, float):
        return f"{value:.3f}"
    return NOTHING if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def licences(folder: Folder) -> Section | None:
    """Of weights that somebody else trained."""
    lines = weights_of_others(folder.view)
    return Section("licences", "Weights of others", [Lines(lines)]) if lines else None


def settings(folder: Folder) -> Section | None:
    """Every plugin with every parameter, as resolved."""
    known: dict[tuple[str, str, str], None] = {}
    for record in folder.cells:
        for kind, params in record.params.items():
            name = str(getattr(record, kind, None) or "")
            if name or kind == "training":
                text = ", ".join(f"{key}={shown(value)}" for key, value in params.items())
                known[kind, name, text] = None
    rows = sorted(known)
    if not rows:
        return None
    columns = [
        Column(header, [row[place] or "-" for row in rows])
        for place, header in enumerate(("kind", "name", "parameters"))
    ]
    table = Table("Every plugin with its parameters, as they were used", columns, prose=True, folded=True)
    return Section("settings", "Settings", [shortened(table, MOST_SETTINGS, "the records have all")])
