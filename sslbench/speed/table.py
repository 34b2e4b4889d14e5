"""Measured speeds as text: one table of rows, one of what is held against what."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sslbench.report.text import Column, markdown, terminal
from sslbench.report.numbers import NOTHING, median_and_iqr, percent, three_digits
from sslbench.report.rows import as_text, differing
from sslbench.report.view import broken
from sslbench.store.plain_values import plain

WIDTH, LONGEST, NARROW = 120, 25, 17
"""characters of a line; of one in the column that names rows; of one in columns of other words"""
KINDS = ("backbone", "method", "augmentation", "dataset")
"""Plugins that say which row it is; the masking is told by what it hides."""
PLAIN = ("batch_size", "precision", "compile")
"""Settings that may differ from row to row."""
Record = Mapping[str, Any]

LEGEND = {
    "hidden": "patches hidden of all",
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


def is_speed(record: Record) -> bool:
    return record.get("kind") == "speed"


def render_speed(records: Sequence[Record], fmt: str, suite: str) -> str:
    """The records as text, without a newline at the end; ``fmt``: ``table``, ``markdown``, ``csv`` or ``json``."""
    if fmt == "json":
        document = {"schema": 1, "suite": suite, "records": [plain(record, "record") for record in records]}
        return json.dumps(document, indent=1, allow_nan=False)
    if fmt == "csv":
        return as_csv(records)
    view = SpeedView(records)
    table: Callable[[Sequence[Column]], str] = (
        markdown if fmt == "markdown" else lambda columns: terminal(columns, gap=2, broken_headers=True)
    )
    parts = [view.title(suite)]
    if view.rows:
        parts.append(table(view.columns()))
    if view.compared:
        parts.append(table(view.comparisons(wide=fmt == "markdown")))
    parts += view.below()
    return "\n\n".join(part if "\n" in part or fmt == "markdown" else wrapped(part) for part in parts)


class SpeedView:
    """One rendering."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.rows = [record for record in records if record["status"] == "done"]
        self.problems = [record for record in records if record["status"] not in ("done", "skipped")]
        self.skipped = [record for record in records if record["status"] == "skipped"]
        self.by_cell = {record["cell"]: record for record in self.rows}
        self.compared = [(row, one) for row in self.rows for one in row["speed"]["against"]]
        self.records = records

    def setting(self, record: Record, name: str) -> Any:
        return record["params"]["speed"][name]

    def name(self, record: Record, kind: str, among: Sequence[Record] | None = None) -> str:
        """A plugin's name with the parameters that tell it from others of that name, in all rows by default; of a
        switch only that it is on."""
        name = record.get(kind)
        if name is None:
            return NOTHING
        others = self.records if among is None else among
        tells = differing([r["params"][kind] for r in others if r.get(kind) == name])
        values = {key: record["params"][kind].get(key) for key in tells}
        told = [key if value is True else f"{key}={value}" for key, value in values.items() if value is not False]
        return f"{name} ({', '.join(told)})" if told else str(name)

    def who(self, record: Record, among: Sequence[Record]) -> str:
        """What tells a row from others."""
        words = [
            self.name(record, kind, among) for kind in KINDS if len({self.name(r, kind, among) for r in among}) > 1
        ]
        words += [self.hidden(record) + " hidden"] if len({self.hidden(r) for r in among}) > 1 else []
        words += [str(self.setting(record, n)) for n in PLAIN if len({self.setting(r, n) for r in among}) > 1]
        return " ".join(words) or self.name(record, "method", among)

    def hidden(self, record: Record) -> str:
        patches = record["speed"]["patches"]
        return f"{patches[0]}/{patches[1]}" if patches else NOTHING

    def varying(self) -> list[str]:
        return [name for name in PLAIN if len({self.setting(r, name) for r in self.rows}) > 1]

    def title(self, suite: str) -> str:
        words = []
        if self.rows:
            first = self.rows[0]
            words += [f"{self.setting(first, 'image_size')} px", str(first["speed"]["device"])]
            fixed = {"batch_size": "batch {}", "precision": "{}", "compile": "{}"}
            words += [form.format(self.setting(first, n)) for n, form in fixed.items() if n not in self.varying()]
            words.append(first["speed"]["ceilings"]["device"])
            threads = first["speed"]["ceilings"]["threads"]
            words += [f"{threads} thread{'s' if threads != 1 else ''}"] if threads else []
            for kind in KINDS:
                names = {self.name(r, kind) for r in self.rows} - {NOTHING}
                words += [f"{kind} {names.pop()}"] if kind != "method" and len(names) == 1 else []
        else:
            words.append("no results")
        return f"{suite}: {' · '.join(words)}" if suite else " · ".join(words)

    def columns(self) -> list[Column]:
        rows = self.rows
        words: dict[str, list[str]] = {}
        for kind in KINDS:
            names = [self.name(r, kind) for r in rows]
            if kind == "method" or len(set(names)) > 1:
                words[kind] = names
        if any(r["speed"]["patches"] for r in rows):
            words["hidden"] = [self.hidden(r) for r in rows]
        words |= {name: [str(self.setting(r, name)) for r in rows] for name in self.varying()}
        found = [Column(header, cells, number=header in ("hidden", "batch_size")) for header, cells in words.items()]
        return found + [Column(header, cells, number=True) for header, cells in self._figures().items()]

    def _figures(self) -> dict[str, list[str]]:
        speeds = [record["speed"] for record in self.rows]
        cells = {
            "img/s": [three_digits(s["images_per_second"]) for s in speeds],
            "step ms (IQR)": [median_and_iqr(s["median_ms"], s["iqr_ms"], " ") for s in speeds],
            "peak MB": [three_digits(scaled(s["peak_bytes"], 1e6)) for s in speeds],
            "GFLOP/img": [three_digits(scaled(s["flops_per_image"], 1e9)) for s in speeds],
            "use %": [percent(s["utilisation"]) for s in speeds],
        }
        if any(s["end_to_end"] for s in speeds):
            ends = [s["end_to_end"] or {} for s in speeds]
            cells["img/s end to end"] = [three_digits(end.get("images_per_second")) for end in ends]
            cells["wait %"] = [percent(end.get("data_wait_share")) for end in ends]
        if any(s["largest_batch"] for s in speeds):
            limits = [s["largest_batch"] or {} for s in speeds]
            cells["largest batch"] = [str(limit.get("batch") or NOTHING) for limit in limits]
        return cells

    def comparisons(self, wide: bool) -> list[Column]:
        """Each row against each of its baselines; long words on several lines, but for ``wide``."""
        pairs = self.compared
        long, narrow = (0, 0) if wide else (LONGEST, NARROW)
        among = [r for row, one in pairs for r in (row, self.by_cell.get(one["cell"], row))]
        cells = {
            "row": [broken(self.who(row, among), long) for row, _ in pairs],
            "against": [" =\n".join(broken(name, narrow) for name in one["baselines"]) for _, one in pairs],
            "times as fast (95%)": [
                f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})"
                + ("" if one["differs"] else "\nno difference")
                for _, one in pairs
            ],
            "noise %": [percent(one["noise_floor"]) for _, one in pairs],
            "FLOP bound": [NOTHING if one["flop_bound"] is None else f"{one['flop_bound']:.2f}" for _, one in pairs],
            "of bound %": [percent(one["share_of_bound"]) for _, one in pairs],
        }
        if any(one["published"] for _, one in pairs):
            cells["published"] = [
                "\n".join(broken(f"{p['ratio']:g} ({p['words']})", narrow) for p in one["published"]) or NOTHING
                for _, one in pairs
            ]
        statements = {one["statement"] for _, one in pairs} - {None}
        if statements:
            cells[" / ".join(sorted(statements))] = [one["verdict"] or NOTHING for _, one in pairs]
        numbers = {"noise %", "FLOP bound", "of bound %"}
        return [Column(header, column, number=header in numbers) for header, column in cells.items()]

    def below(self) -> list[str]:
        """What the words mean, and what is not in the tables."""
        lines = []
        if self.rows:
            lines += [f"{name}: {words}" for name, words in LEGEND.items() if name in self._shown()]
        if self.compared:
            lines += [f"{name}: {note}" for name, note in sorted(self.rows[0]["speed"]["notes"].items())]
            lines += [
                "times as fast: ratio of median steps, timed in turn within one run, with its 95% bootstrap interval",
                "noise %: how far the baseline's ratio to itself may be from 1; within it no difference is claimed",
                "FLOP bound: how many times as fast it would be if time went with arithmetic",
            ]
        busy = sum(bool(record["speed"]["contended"]) for record in self.rows)
        if busy:
            lines.append(
                f"contended: other programs took cores while {busy} of {len(self.rows)} rows were timed; they had"
                " turns, so their ratios hold; times and use % are those of a machine that is shared"
            )
        restless = [self.who(record, self.rows) for record in self.rows if not record["speed"]["steady"]]
        if restless:
            lines.append(f"not steady after warming up: {'; '.join(restless)}")
        blocks = ["\n".join(wrapped(line) for line in lines)] if lines else []
        told = [f"{self.asked(r)}: {r['status']}: {r['reason']}" for r in self.problems]
        told += [f"{self.asked(r)}: {r['reason']}" for r in self.skipped]
        return [*blocks, *(["not measured:\n" + "\n".join(wrapped(f"  {line}") for line in told)] if told else [])]

    def asked(self, record: Record) -> str:
        """A row that was not measured, by what was asked for."""
        words = [self.name(record, kind) for kind in (*KINDS, "masking") if record.get(kind)]
        among = [*self.rows, *self.problems, *self.skipped]
        words += [str(self.setting(record, n)) for n in PLAIN if len({self.setting(r, n) for r in among}) > 1]
        return " ".join(words)

    def _shown(self) -> list[str]:
        return [column.header for column in self.columns()]


def scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by


def as_csv(records: Sequence[Record]) -> str:
    """One line a row and baseline, unrounded; a row without one has empty fields there."""
    lines = []
    for record in records:
        speed = record["speed"]
        line = {
            "status": record["status"],
            "reason": record["reason"],
            **{kind: record.get(kind) for kind in (*KINDS, "masking", "mask_ratio")},
            "params": as_text({k: v for k, v in record["params"].items() if k != "speed"}),
            **record["params"]["speed"],
            **{name: speed.get(name) for name in FIGURES},
            **{f"end_to_end_{name}": (speed["end_to_end"] or {}).get(name) for name in ENDS},
            "largest_batch": (speed["largest_batch"] or {}).get("batch"),
        }
        for one in speed["against"] or [{}]:
            lines.append({**line, "against": " = ".join(one.get("baselines", [])), **{n: one.get(n) for n in RATIOS}})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().rstrip("\n")


FIGURES = (
    "images_per_second",
    "median_ms",
    "iqr_ms",
    "p20_ms",
    "p80_ms",
    "cpu_ms",
    "steps",
    "warmup_steps",
    "steady",
    "contended",
    "first_step_ms",
    "compile_ms",
    "peak_bytes",
    "reserved_bytes",
    "flops_per_image",
    "utilisation",
)
ENDS = ("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share")
RATIOS = ("ratio", "low", "high", "noise_floor", "differs", "flop_bound", "share_of_bound", "verdict")
