"""Speeds as records that can be compared: rows of a speed suite, and what the fixture of pytest measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sslbench.store.record import MetricValue, Record, TrainingFacts

NORMAL_95, NORMAL_99 = 1.960, 2.576
"""half widths of intervals of these levels in standard errors"""


def with_ratios(record: Record) -> Record:
    """A row of a speed suite with its ratios to baselines as metrics, and with what was asked of it beside its plugins
    among the training settings; any other record as it is."""
    if record.kind != "speed":
        return record
    params = {kind: given for kind, given in record.params.items() if kind != "speed"}
    ratios = {
        f"speed_up/{'='.join(one['baselines'])}": ratio(one["ratio"], one["low"], one["high"], NORMAL_95)
        for one in (record.speed or {}).get("against", ())
    }
    return replace(
        record,
        evaluator="speed",
        params={**params, "training": record.params.get("speed", {})},
        metrics=ratios,
        pretraining=replace(record.pretraining or TrainingFacts(), key=record.cell),
    )


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
