"""One side of a comparison: records with raw step times, from a results folder or from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sslbench.errors import UserError
from sslbench.report.rows import Record
from sslbench.store.results import ResultsStore

MACHINE = ("processor", "cores", "gpu", "threads", "torch", "cuda")
"""Facts of a record's provenance on which times depend."""


@dataclass(frozen=True)
class Side:
    """``steps``: raw step times in milliseconds by key of the pretraining, where they are at hand."""

    name: str
    records: Sequence[Record]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)


def load_side(path: Path) -> Side:
    """A results folder, or a file of ``sslbench results --format json``. Raises UserError for anything else."""
    if path.is_file():
        return Side(str(path), read_json(path))
    with ResultsStore.open_for_reading(path) as store:
        records = store.records()
        keys = {str((record.get("pretraining") or {}).get("key")) for record in records}
        steps = {key: list(found) for key in keys if (found := store.steps(key)) is not None}
    return Side(str(path), records, steps)


def read_json(path: Path) -> list[dict[str, Any]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))["records"]
        if all(isinstance(record["metrics"], dict) and "seed" in record for record in records):
            return list(records)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{path}: neither a results folder nor what `sslbench results DIR --format json` prints")


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
