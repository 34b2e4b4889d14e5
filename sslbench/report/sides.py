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
NORMAL_99 = 2.576


@dataclass(frozen=True)
class Side:
    """``steps``: raw step times in milliseconds by key of the pretraining, where they are at hand."""

    name: str
    records: Sequence[Record]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)


def load_side(path: Path) -> Side:
    """A results folder, or a file of ``sslbench results --format json`` or of ``pytest --sslbench-save``.

    Raises UserError for anything else.
    """
    if path.is_file():
        return from_json(path)
    with ResultsStore.open_for_reading(path) as store:
        records = store.records()
        keys = {str((record.get("pretraining") or {}).get("key")) for record in records}
        steps = {key: list(found) for key in keys if (found := store.steps(key)) is not None}
    return Side(str(path), records, steps)


def from_json(path: Path) -> Side:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if "speeds" in document:
            speeds = document["speeds"]
            records = [speed_record(name, speed) for name, speed in speeds.items()]
            return Side(str(path), records, {name: speed["step_ms"] for name, speed in speeds.items()})
        if all(isinstance(record["metrics"], dict) and "seed" in record for record in document["records"]):
            return Side(str(path), list(document["records"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(
        f"{path}: neither a results folder, nor what `sslbench results DIR --format json` prints,"
        " nor what `pytest --sslbench-save` writes"
    )


def speed_record(name: str, speed: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement of ``pytest --sslbench-save`` in the shape of a record: its name is the recipe."""
    metrics = {}
    if speed["speed_up"] is not None:
        half = math.log(speed["high"] / speed["low"]) / 2 * speed["speed_up"]
        rounds = speed["rounds"]
        std = half / NORMAL_99 * math.sqrt(rounds)
        metrics["speed_up"] = {
            "value": speed["speed_up"],
            "unit": "x",
            "higher_is_better": True,
            "std": std,
            "n": rounds,
        }
    figures = {key: speed[key] for key in ("images_per_second", "step_ms_median", "step_ms_iqr")}
    return {
        "cell": name,
        "status": "done",
        "method": name,
        "evaluator": "pytest",
        "seed": 0,
        "metrics": metrics,
        "pretraining": {"key": name, "steps": len(speed["step_ms"]), **figures},
        "provenance": speed["machine"],
    }


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
