"""Speeds as records that can be compared: rows of a speed suite, and what the fixture of pytest measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sslbench.store.json_parts import DamagedRecord
from sslbench.store.record import MetricValue, Record, TrainingFacts

NORMAL_95, NORMAL_99 = 1.960, 2.576
"""half widths of intervals of these levels in standard errors"""


def with_ratios(record: Record) -> Record:
    """A row of a speed suite with its ratios to baselines as metrics, and with its settings beside its plugins as
    training settings; any other record as it is. Raises DamagedRecord where the ratios are not what they should be."""
    if record.kind != "speed":
        return record
    params = {kind: settings for kind, settings in record.params.items() if kind != "speed"}
    return replace(
        record,
        evaluator="speed",
        params={**params, "training": record.params.get("speed", {})},
        metrics=ratios(record),
        pretraining=replace(record.pretraining or TrainingFacts(), key=record.cell),
    )


def ratios(record: Record) -> dict[str, MetricValue]:
    """``speed_up/BASELINE`` -> how many times as fast a row of a speed suite is."""
    try:
        return {
            f"speed_up/{'='.join(row['baselines'])}": ratio(row["ratio"], row["low"], row["high"], NORMAL_95)
            for row in (record.speed or {}).get("against", ())
        }
    except (ArithmeticError, KeyError, TypeError, ValueError):
        raise DamagedRecord(f"record of cell {record.cell}: damaged: speed.against has no ratio and interval") from None


def record_of_test(name: str, speed: Mapping[str, Any]) -> Record:
    """What ``pytest --sslbench-save`` keeps of one test, whose name is the recipe."""
    known = speed["speed_up"] is not None
    return Record(
        cell=name,
        status="done",
        method=name,
        seed=0,
        kind="speed",
        evaluator="pytest",
        metrics={"speed_up": ratio(speed["speed_up"], speed["low"], speed["high"], NORMAL_99)} if known else {},
        pretraining=TrainingFacts(
            key=name,
            steps=len(speed["step_ms"]),
            images_per_second=speed["images_per_second"],
            step_ms_median=speed["step_ms_median"],
            step_ms_iqr=speed["step_ms_iqr"],
        ),
        provenance=speed["machine"],
    )


def ratio(value: float, low: float, high: float, normal: float) -> MetricValue:
    """A metric whose error comes from the ends of its interval."""
    return MetricValue(value, "x", True, relative_error=math.log(high / low) / 2 / normal)
