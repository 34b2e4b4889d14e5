"""One side of a comparison: records with raw step times, from a results folder or from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sslbench.errors import UserError
from sslbench.report.rows import Record
from sslbench.store.results import ResultsStore

MACHINE = ("processor", "cores", "gpu", "threads", "torch", "cuda")
"""Facts of a record's provenance on which times depend."""
NORMAL_95, NORMAL_99 = 1.960, 2.576


@dataclass(frozen=True)
class Side:
    """``steps``: raw step times in milliseconds by key of the pretraining, where they are at hand."""

    name: str
    records: Sequence[Record]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)


def load_side(path: Path) -> Side:
    """A results folder of ``run`` or ``speed``, a file of ``results --format json``, or one of ``--sslbench-save``.

    Raises UserError for anything else.
    """
    if path.is_file():
        return from_json(path)
    with ResultsStore.open_for_reading(path) as store:
        records = [row_of_a_speed_suite(r) if r.get("kind") == "speed" else r for r in store.records()]
        keys = {str((record.get("pretraining") or {}).get("key")) for record in records}
        steps = {key: list(found) for key in keys if (found := store.steps(key)) is not None}
    return Side(str(path), records, steps)


def from_json(path: Path) -> Side:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if "speeds" in document:
            speeds = document["speeds"]
            records = [measurement_of_a_test(name, speed) for name, speed in speeds.items()]
            return Side(str(path), records, {name: speed["step_ms"] for name, speed in speeds.items()})
        records = [row_of_a_speed_suite(r) if r.get("kind") == "speed" else r for r in document["records"]]
        if all(isinstance(record["metrics"], dict) and "seed" in record for record in records):
            return Side(str(path), records)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(
        f"{path}: neither a results folder, nor what `sslbench results DIR --format json` prints,"
        " nor what `pytest --sslbench-save` writes"
    )


def row_of_a_speed_suite(record: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of it beside its plugins is among the training settings, its ratios to baselines are metrics."""
    params = {kind: given for kind, given in record["params"].items() if kind != "speed"}
    ratios = {
        f"speed_up/{'='.join(one['baselines'])}": ratio(one["ratio"], one["low"], one["high"], NORMAL_95)
        for one in record["speed"].get("against", ())
    }
    return {
        **record,
        "evaluator": "speed",
        "params": {**params, "training": record["params"]["speed"]},
        "metrics": ratios,
        "pretraining": {**(record["pretraining"] or {}), "key": record["cell"]},
    }


def measurement_of_a_test(name: str, speed: Mapping[str, Any]) -> dict[str, Any]:
    """Its name is the recipe."""
    known = speed["speed_up"] is not None
    figures = {key: speed[key] for key in ("images_per_second", "step_ms_median", "step_ms_iqr")}
    return {
        "cell": name,
        "kind": "speed",
        "status": "done",
        "method": name,
        "evaluator": "pytest",
        "seed": 0,
        "metrics": {"speed_up": ratio(speed["speed_up"], speed["low"], speed["high"], NORMAL_99)} if known else {},
        "pretraining": {"key": name, "steps": len(speed["step_ms"]), **figures},
        "provenance": speed["machine"],
    }


def ratio(value: float, low: float, high: float, normal: float) -> dict[str, Any]:
    """A metric whose error comes from the ends of its interval."""
    error = math.log(high / low) / 2 / normal
    return {"value": value, "unit": "x", "higher_is_better": True, "relative_error": error}


def machine_differences(first: Side, second: Side) -> list[str]:
    """``processor: X in A, Y in B``, for each fact in which the two have nothing in common."""
    lines = []
    for fact in MACHINE:
        values = [known(side.records, fact) for side in (first, second)]
        if all(values) and not values[0] & values[1]:
            words = [" and ".join(sorted(side)) for side in values]
            lines.append(f"{fact}: {words[0]} in A, {words[1]} in B")
    return lines


def known(records: Sequence[Record], fact: str) -> set[str]:
    """The values of one fact of the machine; ``none`` is a value where the records know of the fact."""
    provenances = [record.get("provenance") or {} for record in records]
    return {str(one[fact] or "none") for one in provenances if fact in one}
