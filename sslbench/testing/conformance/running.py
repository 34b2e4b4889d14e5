"""Executors and simulators."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.contracts.simulator import Simulator
from sslbench.testing.conformance.problem import Problems


def of_executor(spec: Spec, params: Any) -> Problems:
    """Slots, devices and the signature of ``submit``; nothing is run."""
    executor = spec.build(params, BuildContext())
    if getattr(executor, "slots", 0) < 1 or not executor.devices():
        yield "it offers no slot or no device"
    if list(inspect.signature(executor.submit).parameters)[:2] != ["work", "emit"]:
        yield "submit must take (work, emit)"


def of_simulator(spec: Spec, params: Any) -> Problems:
    """Two runs of one seed, their tables and their claims."""
    simulator = spec.build(params, BuildContext())
    if not isinstance(simulator, Simulator):
        yield "build must return an object with run(seed)"
        return
    result, again = simulator.run(0), spec.build(params, BuildContext()).run(0)
    if (result.tables, list(result.claims)) != (again.tables, list(again.claims)):
        yield "not the same for the same seed"
    if not result.tables:
        yield "returns no table"
    for name, rows in result.tables.items():
        yield from table_problems(rows, f"table {name!r}")
    for claim in result.claims:
        if not (claim.statement and claim.source and claim.expected and claim.measured):
            yield f"claim {claim.statement!r} lacks its source, what it expects or what was measured"


def table_problems(rows: Sequence[Mapping[str, Any]], where: str) -> Problems:
    """Columns that differ, values that are not finite, values without a reason; the first of each kind."""
    if len({tuple(row) for row in rows}) > 1:
        yield f"{where}: its rows do not have the same columns"
    for row in rows:
        wrong = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        if wrong:
            yield f"{where}: {wrong[0]} is {row[wrong[0]]}, not None"
            return
    if any(None in row.values() and not row.get("reason") for row in rows):
        yield f"{where}: a value is None and the row's 'reason' does not say why"
