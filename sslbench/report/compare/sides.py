"""One side of a comparison: records, also made of speeds, with raw step times, from a results folder or from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sslbench.errors import UserError
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.store.results import ResultsStore, StoredRecords

MACHINE = ("processor", "cores", "gpu", "threads", "torch", "cuda")
"""facts of a record's provenance on which times depend"""
AT_ONCE = "pretrainings that shared a device"
NORMAL_95, NORMAL_99 = 1.960, 2.576
"""half widths of intervals of these levels in standard errors"""


@dataclass(frozen=True)
class Side:
    """Records to compare."""

    name: str
    records: Sequence[Record]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """key of a pretraining -> raw step times in milliseconds, where they are at hand"""
    damaged: Sequence[str] = ()
    superseded: int = 0
    """records of the folder that are left out, since later runs put others in their place"""


def load_side(path: Path) -> Side:
    """A results folder, a file of ``results --format json`` or one of ``--sslbench-save``. Raises UserError."""
    if path.is_file():
        return from_file(path)
    with ResultsStore.open_for_reading(path) as store:
        side = side_of(str(path), store.read())
        keys = {record.pretraining.key for record in side.records if record.pretraining and record.pretraining.key}
        steps, damaged = steps_of(store, keys)
    return replace(side, steps=steps, damaged=[*side.damaged, *damaged])


def steps_of(store: ResultsStore, keys: Iterable[str]) -> tuple[dict[str, list[float]], list[str]]:
    """Step times by pretraining, those that are kept; and a line for each that is damaged."""
    steps: dict[str, list[float]] = {}
    damaged = []
    for key in keys:
        try:
            samples = store.steps(key)
        except DamagedRecord as error:
            damaged.append(str(error))
        else:
            steps |= {} if samples is None else {key: list(samples)}
    return steps, damaged


EXPECTED = "expected a results folder, or what `sslbench results DIR --format json` prints"


def from_file(path: Path) -> Side:
    """A side from a file of JSON, of this schema or an older one."""
    document = document_of(path)
    try:
        if "speeds" in document:
            speeds = document["speeds"].items()
            records = [record_of_test(name, speed) for name, speed in speeds]
            return Side(str(path), records, {name: speed["step_ms"] for name, speed in speeds})
        texts = [dict(data) for data in document["records"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: neither a results folder, nor what `sslbench results DIR --format json` prints,"
            " nor what `pytest --sslbench-save` writes"
        ) from None
    numbered = {f"{path}: record {number}": data for number, data in enumerate(texts, 1)}
    return side_of(str(path), StoredRecords.of(numbered, lambda where: Record.from_json(numbered[where], where)))


def document_of(path: Path) -> Any:
    """What a file of JSON holds. Raises UserError where it cannot be read, or where a reader could take it otherwise:
    a key twice, NaN."""
    from sslbench.hooks.values import once  # with pydantic, which results folders do not need

    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=once, parse_constant=refused)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8, as JSON is: byte {error.start}; {EXPECTED}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}; {EXPECTED}") from None


def refused(constant: str) -> None:
    """NaN and infinities, which are Python's own extension of JSON."""
    raise ValueError(f"{constant} is no value; what is not known is null")


def side_of(name: str, stored: StoredRecords) -> Side:
    """A side without step times. Rows of speed suites whose ratios cannot be read are damaged as well."""
    comparable = StoredRecords.of(stored.records, with_ratios)
    more = [f"{name}: {line}" for line in comparable.damaged]
    return Side(name, comparable.records, damaged=[*stored.damaged, *more], superseded=stored.superseded)


def machine_differences(first: Side, second: Side) -> list[str]:
    """``processor: X in A, Y in B``, for each fact that both sides know and in which they have nothing in common."""
    lines = []
    of_sides = [known_conditions(side) for side in (first, second)]
    for fact in (*MACHINE, AT_ONCE):
        known = [values.get(fact, set()) for values in of_sides]
        if all(known) and not known[0] & known[1]:
            in_a, in_b = (" and ".join(sorted(values)) for values in known)
            lines.append(f"{fact}: {in_a} in A, {in_b} in B")
    return lines


def known_conditions(side: Side) -> dict[str, set[str]]:
    """Under which the records were timed: fact -> what they have of it."""
    known: dict[str, set[str]] = {}
    for record in side.records:
        noted = record.provenance or {}
        facts = {name: noted[name] for name in MACHINE if name in noted}
        if record.pretraining:
            threads = record.pretraining.threads
            facts |= {AT_ONCE: record.at_once, **({} if threads is None else {"threads": threads})}
        for name, value in facts.items():
            known.setdefault(name, set()).add(str(value or "none"))
    return known


def with_ratios(record: Record) -> Record:
    """A row of a speed suite with its ratios as metrics and its settings as training settings; others as they are."""
    if record.kind != "speed":
        return record
    params = {kind: settings for kind, settings in record.params.items() if kind != "speed"}
    try:
        metrics = {
            f"speed_up/{'='.join(row['baselines'])}": ratio(row["ratio"], row["low"], row["high"], NORMAL_95)
            for row in (record.speed or {}).get("against", ())
        }
    except (ArithmeticError, KeyError, TypeError, ValueError):
        raise DamagedRecord(f"record of cell {record.cell}: damaged: speed.against has no ratio and interval") from None
    return replace(
        record,
        evaluator="speed",
        params={**params, "training": record.params.get("speed", {})},
        metrics=metrics,
        pretraining=replace(record.pretraining or TrainingFacts(), key=record.cell),
    )


def record_of_test(name: str, speed: Mapping[str, Any]) -> Record:
    """What ``pytest --sslbench-save`` keeps of one test, whose name is the recipe."""
    value = speed["speed_up"]
    metrics = {} if value is None else {"speed_up": ratio(value, speed["low"], speed["high"], NORMAL_99)}
    rates = {key: speed[key] for key in ("images_per_second", "step_ms_median", "step_ms_iqr")}
    training = TrainingFacts(key=name, steps=len(speed["step_ms"]), **rates)
    return Record(
        name,
        "done",
        name,
        0,
        kind="speed",
        evaluator="pytest",
        metrics=metrics,
        pretraining=training,
        provenance=speed["machine"],
    )


def ratio(value: float, low: float, high: float, normal: float) -> MetricValue:
    """A metric whose error comes from the ends of its interval."""
    return MetricValue(value, "x", True, relative_error=math.log(high / low) / 2 / normal)
