"""Measured speeds as CSV, unrounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sslbench.report.rows import as_text
from sslbench.report.text import as_csv
from sslbench.speed.facts import EndToEndFacts, LargestBatch, Ratio, TimedRow
from sslbench.speed.naming import KINDS
from sslbench.speed.row import SETTINGS
from sslbench.store.record import Record

NUMBERS = (
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
END_TO_END = ("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share")
RATIO = ("ratio", "low", "high", "noise_floor", "differs", "flop_bound", "share_of_bound", "verdict")


def speed_csv(records: Sequence[Record]) -> str:
    """One line a row and baseline; a row without a baseline has empty fields there."""
    lines = []
    for row in map(TimedRow.of, records):
        own = columns_of_row(row)
        lines += [{**own, **columns_of_ratio(ratio)} for ratio in row.facts.against or (None,)]
    return as_csv(lines)


def columns_of_row(row: TimedRow) -> dict[str, Any]:
    """What is the same for all baselines of a row."""
    record, facts = row.record, row.facts
    end_to_end, limit = facts.end_to_end or EndToEndFacts(), facts.largest_batch or LargestBatch(None, "")
    params: Mapping[str, Any] = {kind: values for kind, values in record.params.items() if kind != "speed"}
    return {
        "status": record.status,
        "reason": record.reason,
        **{kind: getattr(record, kind) for kind in (*KINDS, "masking", "mask_ratio")},
        "params": as_text(params),
        **{name: getattr(facts, name) for name in (*SETTINGS, "image_size", "device")},
        **{name: getattr(facts, name) for name in NUMBERS},
        **{f"end_to_end_{name}": getattr(end_to_end, name) for name in END_TO_END},
        "largest_batch": limit.batch,
    }


def columns_of_ratio(ratio: Ratio | None) -> dict[str, Any]:
    """One of its baselines, or none."""
    return {
        "against": " = ".join(ratio.baselines) if ratio else None,
        **{name: getattr(ratio, name, None) for name in RATIO},
    }
