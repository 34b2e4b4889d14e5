"""Measured speeds as text: one table of rows, one of what is compared with what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from sslbench.report.numbers import NOTHING, median_and_iqr, percent, three_digits
from sslbench.report.text import Column, broken, markdown, plural, terminal, wrapped
from sslbench.speed.csv_text import speed_csv
from sslbench.speed.facts import EndToEndFacts, LargestBatch, Ratio, TimedRow
from sslbench.speed.naming import KINDS, Naming, masked_patches, setting, varying
from sslbench.store.json_parts import plain
from sslbench.store.record import SCHEMA, Record

LONGEST, NARROW = 25, 17
"""characters of a line in the column that names rows, and in columns of other words"""

LEGEND = {
    "masked": "patches masked of all",
    "img/s": "source images in the time of the median step, on data that is on the device already; no augmentation",
    "step ms (IQR)": "median time of a step: masks, forward, backward, optimizer (interquartile range); on a CPU"
    " without the time in which the thread that steps waited for a core (Linux)",
    "peak MB": "most memory that the row added, 10^6 bytes",
    "GFLOP/img": "10^9 floating-point operations of forward and backward per source image",
    "use %": "share of the fastest matrix product that was measured on this device, in the same precision",
    "img/s end to end": "with images from the data set and augmentation",
    "wait %": "share of the end-to-end step spent waiting for images",
    "largest batch": "images that fit into memory",
}
"""column -> what it is"""
RATIO_LEGEND = (
    "times as fast: ratio of median steps, timed in turn within one run, with its 95% bootstrap interval",
    "noise %: how far the baseline's ratio to itself may be from 1; within it no difference is claimed",
    "FLOP bound: how many times as fast it would be if time went with arithmetic",
)


def render_speed(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end; ``fmt``: ``table``, ``markdown``, ``csv`` or ``json``."""
    if fmt == "json":
        documents = [plain(record.to_json(), "record") for record in records]
        return json.dumps({"schema": SCHEMA, "suite": suite, "records": documents}, indent=1, allow_nan=False)
    if fmt == "csv":
        return speed_csv(records)
    speeds = SpeedTable(records)
    table: Callable[[Sequence[Column]], str] = (
        markdown if fmt == "markdown" else lambda columns: terminal(columns, gap=2, broken_headers=True)
    )
    title = speeds.title(suite)
    parts = [title if fmt == "markdown" else wrapped(title, rest="    ")]
    if speeds.rows:
        parts.append(table(speeds.columns()))
    if speeds.compared:
        parts.append(table(speeds.comparisons(wide=fmt == "markdown")))
    return "\n\n".join([*parts, *speeds.notes()])


class SpeedTable:
    """The tables of some records, and the lines above and below them."""

    def __init__(self, records: Iterable[Record]) -> None:
        rows = [TimedRow.of(record) for record in records]
        self.rows = [row for row in rows if row.record.status == "done"]
        self.failed = [row for row in rows if row.record.status not in ("done", "skipped")]
        self.skipped = [row for row in rows if row.record.status == "skipped"]
        self.compared = [(row, ratio) for row in self.rows for ratio in row.facts.against]
        """rows and the ratios to their baselines"""
        self.naming = Naming(rows)
        self.varying = varying(self.rows)

    def title(self, suite: str) -> str:
        """The suite and what all rows share."""
        words = self._shared() if self.rows else ["no results"]
        return f"{suite}: {' · '.join(words)}" if suite else " · ".join(words)

    def _shared(self) -> list[str]:
        facts = self.rows[0].facts
        words = [f"{facts.image_size} px", str(facts.device)]
        shared = {"batch_size": f"batch {facts.batch_size}", "precision": facts.precision, "compile": facts.compile}
        words += [str(word) for name, word in shared.items() if name not in self.varying]
        if facts.ceilings:
            words.append(facts.ceilings.device)
            words += [plural(facts.ceilings.threads, "thread")] if facts.ceilings.threads else []
        for kind in KINDS:
            names = {self.naming.plugin(row, kind) for row in self.rows} - {NOTHING}
            words += [f"{kind} {names.pop()}"] if kind != "method" and len(names) == 1 else []
        return words

    def columns(self) -> list[Column]:
        """The table of rows: what tells them apart, then what was measured."""
        columns = []
        for kind in KINDS:
            names = [self.naming.plugin(row, kind) for row in self.rows]
            if kind == "method" or len(set(names)) > 1:
                columns.append(Column(kind, names))
        if any(row.facts.patches for row in self.rows):
            columns.append(Column("masked", [masked_patches(row) for row in self.rows], number=True))
        for name in self.varying:
            cells = [str(setting(row, name)) for row in self.rows]
            columns.append(Column(name, cells, number=name == "batch_size"))
        return columns + [Column(header, cells, number=True) for header, cells in self._numbers().items()]

    def _numbers(self) -> dict[str, list[str]]:
        speeds = [row.facts for row in self.rows]
        cells = {
            "img/s": [three_digits(s.images_per_second) for s in speeds],
            "step ms (IQR)": [median_and_iqr(s.median_ms, s.iqr_ms, " ") for s in speeds],
            "peak MB": [three_digits(scaled(s.peak_bytes, 1e6)) for s in speeds],
            "GFLOP/img": [three_digits(scaled(s.flops_per_image, 1e9)) for s in speeds],
            "use %": [percent(s.utilisation) for s in speeds],
        }
        if any(s.end_to_end for s in speeds):
            pipelines = [s.end_to_end or EndToEndFacts() for s in speeds]
            cells["img/s end to end"] = [three_digits(pipeline.images_per_second) for pipeline in pipelines]
            cells["wait %"] = [percent(pipeline.data_wait_share) for pipeline in pipelines]
        if any(s.largest_batch for s in speeds):
            limits = [s.largest_batch or LargestBatch(None, "") for s in speeds]
            cells["largest batch"] = [str(limit.batch or NOTHING) for limit in limits]
        return cells

    def comparisons(self, wide: bool) -> list[Column]:
        """Each row and each of its baselines; long words on several lines, but for ``wide``."""
        ratios = [ratio for _, ratio in self.compared]
        longest, narrow = (0, 0) if wide else (LONGEST, NARROW)
        by_cell = {row.record.cell: row for row in self.rows}
        among = [one for row, ratio in self.compared for one in (row, by_cell.get(ratio.cell, row))]
        columns = [
            Column("row", [broken(self.naming.row(row, among), longest, at_hyphens=True) for row, _ in self.compared]),
            Column(
                "against",
                [" =\n".join(broken(name, narrow, at_hyphens=True) for name in ratio.baselines) for ratio in ratios],
            ),
            Column("times as fast (95%)", [with_interval(ratio) for ratio in ratios]),
            Column("noise %", [percent(ratio.noise_floor) for ratio in ratios], number=True),
            Column("FLOP bound", [two_decimals(ratio.flop_bound) for ratio in ratios], number=True),
            Column("of bound %", [percent(ratio.share_of_bound) for ratio in ratios], number=True),
        ]
        if any(ratio.published for ratio in ratios):
            columns.append(Column("published", [published(ratio, narrow) for ratio in ratios]))
        statements = sorted({ratio.statement for ratio in ratios if ratio.statement is not None})
        if statements:
            columns.append(Column(" / ".join(statements), [ratio.verdict or NOTHING for ratio in ratios]))
        return columns

    def notes(self) -> list[str]:
        """Blocks of lines below the tables: what the words mean, and what is not in them."""
        lines = []
        if self.rows:
            shown = [column.header for column in self.columns()]
            lines += [f"{name}: {words}" for name, words in LEGEND.items() if name in shown]
        if self.compared:
            lines += [f"{name}: {note}" for name, note in sorted(self.rows[0].facts.notes.items())]
            lines += RATIO_LEGEND
        lines += self._warnings()
        blocks = ["\n".join(wrapped(line, rest="    ") for line in lines)] if lines else []
        missing = [f"{self.naming.request(row)}: {row.record.status}: {row.record.reason}" for row in self.failed]
        missing += [f"{self.naming.request(row)}: {row.record.reason}" for row in self.skipped]
        if missing:
            blocks.append("\n".join(["not measured:", *(wrapped(line, "  ", "    ") for line in missing)]))
        return blocks

    def _warnings(self) -> list[str]:
        lines = []
        busy = sum(bool(row.facts.contended) for row in self.rows)
        if busy:
            lines.append(
                f"contended: other programs took cores while {busy} of {len(self.rows)} rows were timed; they had"
                " turns, so their ratios hold; times and use % are those of a machine that is shared"
            )
        unsteady = [self.naming.row(row, self.rows) for row in self.rows if not row.facts.steady]
        if unsteady:
            lines.append(f"not steady after warming up: {'; '.join(unsteady)}")
        return lines


def with_interval(ratio: Ratio) -> str:
    """``2.65 (2.51 to 2.70)``, and whether there is a difference at all."""
    words = f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return words if ratio.differs else f"{words}\nno difference"


def published(ratio: Ratio, width: int) -> str:
    """What the literature has, in lines of at most ``width`` characters."""
    lines = [broken(f"{source.ratio:g} ({source.words})", width, at_hyphens=True) for source in ratio.published]
    return "\n".join(lines) or NOTHING


def two_decimals(value: float | None) -> str:
    """``2.90``."""
    return NOTHING if value is None else f"{value:.2f}"


def scaled(value: float | None, by: float) -> float | None:
    """In units of ``by``."""
    return None if value is None else value / by
