"""Measured speeds as a chapter of a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sslbench.report.charts import speeds
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Chapter, Drawing, Lines, Part, Section, Table
from sslbench.report.html.sections.first import shortened
from sslbench.report.numbers import three_digits
from sslbench.report.text import Column, plural
from sslbench.speed.facts import Ratio, TimedRow
from sslbench.speed.table import SpeedTable


def chapter(folder: Folder) -> Chapter | None:
    """Of the rows of speed suites in a folder; None without any."""
    table = SpeedTable(record for record in folder.records if record.kind == "speed")
    if not table.rows and not table.missing:
        return None
    sections = [against(table), rows(table), doubts(table)]
    title = f"{folder.name}: speed"
    return Chapter("", title, answer(table), table.title(""), [one for one in sections if one is not None])


def answer(table: SpeedTable) -> list[str]:
    """Sentences: what was expected and whether it holds, the largest ratio, the fastest row."""
    lines = []
    verdicts = Counter(ratio.verdict for _, ratio in table.compared if ratio.verdict)
    statements = sorted({ratio.statement for _, ratio in table.compared if ratio.statement is not None})
    if verdicts:
        lines.append(f"Expected: {' / '.join(statements)}. That {counted(verdicts)}.")
    named = zip(names_of(table), table.compared, strict=True)
    told = [(name, ratio) for name, (_, ratio) in named if ratio.differs]
    if told:
        name, ratio = max(told, key=lambda pair: pair[1].ratio)
        start = (
            f"The most is gained by {name}" if ratio.ratio > 1 else f"Nothing is gained; the least is lost by {name}"
        )
        interval = f"95% interval {ratio.low:.2f} to {ratio.high:.2f}"
        lines.append(f"{start}: {ratio.ratio:.2f} times as fast ({interval}){bound_in_words(ratio)}.")
    if table.compared:
        of = f"{len(told)} of {plural(len(table.compared), 'comparison')}"
        lines.append(f"A difference beyond the noise was found in {of}.")
    known = [row for row in table.rows if row.facts.images_per_second]
    if known and not told:
        fastest = max(known, key=lambda row: row.facts.images_per_second or 0.0)
        name, rate = table.naming.row(fastest, table.rows), three_digits(fastest.facts.images_per_second)
        lines.append(f"The fastest of {plural(len(known), 'step')} is {name}, at {rate} images a second.")
    return lines or ["Nothing could be measured."]


def counted(verdicts: Counter[str]) -> str:
    """``holds in 2 of 3 comparisons, is undecided in 1``."""
    total = plural(verdicts.total(), "comparison")
    words = {"undecided": "is undecided"}
    said = []
    for verdict, count in verdicts.most_common():
        name, _, side = verdict.partition(": ")
        said.append(words.get(name, name) + (f" ({side})" if side else "") + f" in {count}")
    return ", ".join([f"{said[0]} of {total}", *said[1:]])


def bound_in_words(ratio: Ratio) -> str:
    """What arithmetic alone would give."""
    return f"; arithmetic alone would give {ratio.flop_bound:.2f}" if ratio.flop_bound else ""


def names_of(table: SpeedTable) -> list[str]:
    """Each comparison: a row with its baseline."""
    pairs = zip(table.compared_names(), table.compared, strict=True)
    return [f"{name} against {' = '.join(ratio.baselines)}" for name, (_, ratio) in pairs]


def against(table: SpeedTable) -> Section | None:
    """Ratios with their intervals."""
    if not table.compared:
        return None
    compared = [
        speeds.Compared(name, " = ".join(one.baselines), one.ratio, one.low, one.high, one.differs, one.flop_bound)
        for name, (_, one) in zip(table.compared_names(), table.compared, strict=True)
    ]
    parts: list[Part] = [Drawing.of(panel) for panel in speeds.ratios(compared)]
    parts.append(shortened(Table("Each row against its baselines", plain(table.comparisons(wide=True)))))
    parts.append(Lines(table.legend_of_ratios(), quiet=True))
    intro = (
        "A dot is the ratio of median steps that were timed in turn, the bar its 95% interval, the stroke what"
        " arithmetic alone would give. Right of 1: faster."
    )
    return Section("against", "Against baselines", parts, intro)


def rows(table: SpeedTable) -> Section | None:
    """Images a second, times, memory and arithmetic of every row."""
    if not table.rows:
        return None
    timed = [
        speeds.Timed(name, facts.images_per_second, *percentiles(row))
        for name, row in zip(table.names(), table.rows, strict=True)
        if (facts := row.facts).images_per_second
    ]
    panel = speeds.rates(timed)
    parts: list[Part] = [Drawing.of(panel)] if panel else []
    parts.append(shortened(Table("Every row: speed, step times, memory and arithmetic", plain(table.columns()))))
    parts.append(Lines(table.legend(), quiet=True))
    intro = "A bar is the median step, the line through its end the 20th to the 80th percentile of its steps."
    return Section("rows", "Speed of each row", parts, intro)


def percentiles(row: TimedRow) -> tuple[float | None, float | None]:
    """Images a second at the 80th and the 20th percentile of the step times."""
    facts = row.facts
    slow, fast = (1e3 * facts.images / ms if facts.images and ms else None for ms in (facts.p80_ms, facts.p20_ms))
    return slow, fast


def plain(columns: list[Column]) -> list[Column]:
    """With cells of one line."""
    return [replace(column, cells=[" ".join(cell.split()) for cell in column.cells]) for column in columns]


def doubts(table: SpeedTable) -> Section | None:
    """What to know before a time is believed, and what was not measured."""
    warnings = table.warnings()
    parts: list[Part] = [Lines(warnings)] if warnings else []
    for title, missing in (("Measured in part", table.in_part()), ("Not measured", table.not_measured())):
        parts += [Lines(missing, title)] if missing else []
    return Section("times", "Before you believe a time", parts) if parts else None
