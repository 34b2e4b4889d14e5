"""Finished records of one cell that do not agree, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from sslbench.errors import MergeConflict
from sslbench.store.merge.choose import Choice
from sslbench.store.merge.scan import Entry, Scan, StoredRows
from sslbench.store.record import MetricValue, Record

MOST = 10
"""conflicts that are named"""
METRICS = 3
"""that are named of one conflict"""


def refuse(conflicts: Sequence[Choice], scans: Sequence[Scan]) -> None:
    """Raises MergeConflict, with a line for each of the first conflicts, where there are any."""
    if not conflicts:
        return
    with ExitStack() as stack:
        stores: dict[int, StoredRows] = {}

        def record(entry: Entry) -> Record | None:
            if entry.folder not in stores:
                folder = scans[entry.folder].folder
                stores[entry.folder] = stack.enter_context(StoredRows.open_for_reading(folder))
            return stores[entry.folder].record(entry.cell)

        lines = []
        for conflict in conflicts[:MOST]:
            results = {entry.result: entry for entry in reversed((conflict.kept, *conflict.rivals))}
            entries = sorted(results.values(), key=lambda entry: entry.folder)
            records = [(str(scans[entry.folder].folder), record(entry)) for entry in entries]
            lines.append(in_words([(name, found) for name, found in records if found]))
    if len(conflicts) > MOST:
        lines.append(f"and {len(conflicts) - MOST} more cells with other results")
    raise MergeConflict(*lines, "nothing is written; --prefer first, last or newest says which record of each is kept")


def in_words(records: Sequence[tuple[str, Record]]) -> str:
    """One line about several records of a cell, each with the name of its folder: which cell, and what differs."""
    _, one = records[0]
    names = (one.method, one.augmentation, one.masking, one.backbone, one.dataset, one.evaluator)
    cell = " ".join([*(name for name in names if name), f"seed {one.seed}"])
    statuses = {record.status for _, record in records}
    if len(statuses) > 1:
        return f"{cell}: {listed((folder, record.status) for folder, record in records)} (cell {one.cell})"
    metrics = sorted({name for _, record in records for name in record.metrics})
    differing = [name for name in metrics if len({repr(record.metrics.get(name)) for _, record in records}) > 1]
    parts = [difference(name, records) for name in differing[:METRICS]]
    more = f", and {len(differing) - METRICS} more metrics" if len(differing) > METRICS else ""
    return f"{cell}: {'; '.join(parts)}{more} (cell {one.cell})"


def difference(name: str, records: Sequence[tuple[str, Record]]) -> str:
    """``knn_top1 is 0.41 in a, 0.39 in b``."""
    values = [(folder, record.metrics.get(name)) for folder, record in records]
    same_value = len({value and value.value for _, value in values}) == 1
    texts = ((folder, repr(value) if value and same_value else value_of(value)) for folder, value in values)
    return f"{name} is {listed(texts)}"


def value_of(metric: MetricValue | None) -> str:
    """As exact as it is kept."""
    return "not there" if metric is None else "null" if metric.value is None else repr(metric.value)


def listed(texts: Iterable[tuple[str, str]]) -> str:
    """``x in a, y in b``."""
    return ", ".join(f"{text} in {folder}" for folder, text in texts)
