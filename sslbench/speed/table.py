"""Measured speeds as text: one table of rows, one of what is compared with what; or CSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sslbench.measure.timing import LAUNCH_BOUND
from sslbench.report.comma_separated import as_csv
from sslbench.report.numbers import NOTHING, median_and_iqr, percent, three_digits
from sslbench.report.rows import as_text
from sslbench.report.text import Column, broken, fitted, markdown, plural, wrapped
from sslbench.speed.facts import EndToEndFacts, LargestBatch, Ratio, TimedRow
from sslbench.speed.naming import KINDS, Naming, masked_patches, varying
from sslbench.speed.rows import SETTINGS
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
    "J/img": "joules of the GPU's card, or of the processors' packages, per source image, whoever else uses them",
    "img/s end to end": "with images from the data set and augmentation",
    "wait %": "share of the end-to-end step spent waiting for images",
    "largest batch": "images that fit into memory; ≥: the search ended before a batch that does not fit",
}
"""column -> what it is"""
RATIO_LEGEND = (
    "times as fast: ratio of median steps, timed in turn within one run, with its 95% bootstrap interval",
    "noise %: how far the baseline's ratio to itself may be from 1; within it no difference is claimed",
    "FLOP bound: how many times as fast it would be if time went with arithmetic",
)
CSV_FACTS = (
    *(*SETTINGS, "image_size", "device", "images_per_second", "median_ms", "iqr_ms", "p20_ms", "p80_ms", "cpu_ms"),
    *("steps", "warmup_steps", "steady", "contended", "first_step_ms", "compile_ms", "host_ms", "launch_bound"),
    *("peak_bytes", "reserved_bytes", "flops_per_image", "utilisation", "joules_per_image"),
)
CSV_END_TO_END = ("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share")
CSV_RATIO = ("ratio", "low", "high", "noise_floor", "differs", "flop_bound", "share_of_bound", "verdict", "of_launches")


def render_speed(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end; ``fmt``: ``table``, ``markdown``, ``csv`` or ``json``."""
    if fmt == "json":
        documents = [plain(record.to_json(), "record") for record in records]
        return json.dumps({"schema": SCHEMA, "suite": suite, "records": documents}, indent=1, allow_nan=False)
    if fmt == "csv":
        return as_csv([line for record in records for line in csv_lines(TimedRow.of(record))])
    speeds = SpeedTable(records)
    table: Callable[[Sequence[Column]], str] = (
        markdown if fmt == "markdown" else lambda columns: fitted(columns, "--format csv")
    )
    title = speeds.title(suite)
    parts = [title if fmt == "markdown" else wrapped(title, rest="    ")]
    if speeds.rows:
        parts.append(table(speeds.columns()))
    if speeds.compared:
        parts.append(table(speeds.comparisons(wide=fmt == "markdown")))
    return "\n\n".join([*parts, *speeds.notes()])


def csv_lines(row: TimedRow) -> list[dict[str, Any]]:
    """One line for each baseline of a row, unrounded; a row without a baseline has empty fields there."""
    record, facts = row.record, row.facts
    end_to_end, limit = facts.end_to_end or EndToEndFacts(), facts.largest_batch or LargestBatch()
    own = {
        "status": record.status,
        "reason": record.reason,
        **{kind: getattr(record, kind) for kind in (*KINDS, "masking", "mask_ratio")},
        "params": as_text({kind: values for kind, values in record.params.items() if kind != "speed"}),
        **{name: getattr(facts, name) for name in CSV_FACTS},
        **{f"end_to_end_{name}": getattr(end_to_end, name) for name in CSV_END_TO_END},
        "largest_batch": limit.batch,
        "largest_batch_how": limit.how or None,
    }
    return [
        {
            **own,
            "against": " = ".join(ratio.baselines) if ratio else None,
            **{name: getattr(ratio, name, None) for name in CSV_RATIO},
        }
        for ratio in facts.against or (None,)
    ]


class SpeedTable:
    """The tables of some records, and the lines above and below them."""

    def __init__(self, records: Iterable[Record]) -> None:
        rows = [TimedRow.of(record) for record in records]
        self.rows = [row for row in rows if row.record.status == "done"]
        self.missing = [row for row in rows if row.record.status != "done"]
        self.compared = [(row, ratio) for row in self.rows for ratio in row.facts.against]
        self.naming = Naming(rows)
        self.varying = varying(self.rows)

    def title(self, suite: str) -> str:
        """The suite and what all rows share."""
        words = " · ".join(self._shared() if self.rows else ["no results"])
        return f"{suite}: {words}" if suite else words

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
            settings = [str(getattr(row.facts, name)) for row in self.rows]
            columns.append(Column(name, settings, number=name == "batch_size"))
        numbers = enumerate(self._numbers().items())
        return columns + [Column(header, cells, number=True, rank=place) for place, (header, cells) in numbers]

    def _numbers(self) -> dict[str, list[str]]:
        speeds = [row.facts for row in self.rows]
        cells = {
            "img/s": [three_digits(s.images_per_second) for s in speeds],
            "step ms (IQR)": [median_and_iqr(s.median_ms, s.iqr_ms, " ") for s in speeds],
            "peak MB": [three_digits(s.peak_bytes and s.peak_bytes / 1e6) for s in speeds],
            "GFLOP/img": [three_digits(s.flops_per_image and s.flops_per_image / 1e9) for s in speeds],
            "use %": [percent(s.utilisation) for s in speeds],
        }
        if any(s.joules_per_image for s in speeds):
            cells["J/img"] = [three_digits(s.joules_per_image) for s in speeds]
        if any(s.end_to_end for s in speeds):
            pipelines = [s.end_to_end or EndToEndFacts() for s in speeds]
            cells["img/s end to end"] = [three_digits(pipeline.images_per_second) for pipeline in pipelines]
            cells["wait %"] = [percent(pipeline.data_wait_share) for pipeline in pipelines]
        if any(s.largest_batch for s in speeds):
            cells["largest batch"] = [str(s.largest_batch or LargestBatch()) for s in speeds]
        return cells

    def comparisons(self, wide: bool) -> list[Column]:
        """Each row and each of its baselines; long words on several lines, but for ``wide``."""
        ratios = [ratio for _, ratio in self.compared]
        longest, narrow = (0, 0) if wide else (LONGEST, NARROW)
        names = [broken(name, longest, at_hyphens=True) for name in self.compared_names()]
        baselines = [[broken(name, narrow, at_hyphens=True) for name in ratio.baselines] for ratio in ratios]
        columns = [
            Column("row", names),
            Column("against", [" =\n".join(words) for words in baselines]),
            Column("times as fast (95%)", [with_interval(ratio) for ratio in ratios]),
            Column("noise %", [percent(ratio.noise_floor) for ratio in ratios], number=True, rank=2),
            Column("FLOP bound", [f"{r.flop_bound:.2f}" if r.flop_bound else NOTHING for r in ratios], True, 3),
            Column("of bound %", [percent(ratio.share_of_bound) for ratio in ratios], number=True, rank=4),
        ]
        if any(ratio.published for ratio in ratios):
            columns.append(Column("published", [published(ratio, narrow) for ratio in ratios], rank=1))
        statements = sorted({ratio.statement for ratio in ratios if ratio.statement is not None})
        if statements:
            columns.append(Column(" / ".join(statements), [ratio.verdict or NOTHING for ratio in ratios]))
        return columns

    def notes(self) -> list[str]:
        """Blocks of lines below the tables: what the words mean, and what is not in them."""
        lines = [*self.legend(), *self.legend_of_ratios(), *self.warnings()]
        blocks = ["\n".join(wrapped(line, rest="    ") for line in lines)] if lines else []
        for title, lines in (("measured in part:", self.in_part()), ("not measured:", self.not_measured())):
            if lines:
                blocks.append("\n".join([title, *(wrapped(line, "  ", "    ") for line in lines)]))
        return blocks

    def legend(self) -> list[str]:
        """What the words mean."""
        headers = [column.header for column in self.columns()] if self.rows else []
        return [f"{name}: {words}" for name, words in LEGEND.items() if name in headers]

    def legend_of_ratios(self) -> list[str]:
        """What baselines are, and what a ratio is."""
        if not self.compared:
            return []
        return [*(f"{name}: {note}" for name, note in sorted(self.rows[0].facts.notes.items())), *RATIO_LEGEND]

    def in_part(self) -> list[str]:
        """A line for each thing that is missing of a row that was timed, and why."""
        return [f"{self.naming.row(row, self.rows)}: {what}" for row in self.rows for what in row.facts.missing]

    def not_measured(self) -> list[str]:
        """A line for each row that is not in the tables, with the reason; those that were skipped last."""
        rows = sorted(self.missing, key=lambda row: row.record.status == "skipped")
        words = ["" if row.record.status == "skipped" else f"{row.record.status}: " for row in rows]
        return [
            f"{self.naming.request(row)}: {status}{row.record.reason}" for row, status in zip(rows, words, strict=True)
        ]

    def warnings(self) -> list[str]:
        """What to doubt of the times."""
        lines = []
        busy = sum(bool(row.facts.contended) for row in self.rows)
        if busy:
            lines.append(
                f"contended: other programs took cores while {busy} of {len(self.rows)} rows were timed; they had"
                " turns, so their ratios hold; times and use % are those of a machine that is shared"
            )
        waiting = [self.naming.row(row, self.rows) for row in self.rows if row.facts.launch_bound]
        if waiting:
            lines.append(
                f"launch-bound: {'; '.join(waiting)}: the host takes {LAUNCH_BOUND:.0%} of the step or more to launch"
                " it, and the device waits; their ratios are those of launches, not of the device's work (more images"
                " a step, or --compile cuda-graphs)"
            )
        unsteady = [self.naming.row(row, self.rows) for row in self.rows if not row.facts.steady]
        if unsteady:
            lines.append(f"not steady after warming up: {'; '.join(unsteady)}")
        return lines

    def compared_names(self) -> list[str]:
        """What tells the rows that are compared from each other and from their baselines."""
        by_cell = {row.record.cell: row for row in self.rows}
        among = [named for row, ratio in self.compared for named in (row, by_cell.get(ratio.cell, row))]
        return [self.naming.row(row, among) for row, _ in self.compared]

    def names(self) -> list[str]:
        """What tells each row from all others."""
        return [self.naming.row(row, self.rows) for row in self.rows]


def with_interval(ratio: Ratio) -> str:
    """``2.65 (2.51 to 2.70)``, whether there is a difference at all, and whether it is one of launches."""
    words = [f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"]
    words += [] if ratio.differs else ["no difference"]
    words += ["of launches"] if ratio.of_launches else []
    return "\n".join(words)


def published(ratio: Ratio, width: int) -> str:
    """What the literature has, in lines of at most ``width`` characters."""
    lines = [broken(f"{source.ratio:g} ({source.words})", width, at_hyphens=True) for source in ratio.published]
    return "\n".join(lines) or NOTHING
