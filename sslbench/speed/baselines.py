"""What rows are compared with: the same row with some things changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from sslbench.errors import UserError, did_you_mean
from sslbench.hooks.params import validation_lines
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import look_up
from sslbench.plan.reference import parse_reference, read_reference
from sslbench.plan.suite import RawSuite
from sslbench.speed.row import SETTINGS, SpeedRow, why_not_timed
from sslbench.speed.suite import COMPILING, SPEED_AXES, Baseline

ALLOWED = {"precision": ("fp32", "bf16", "fp16"), "compile": tuple(COMPILING)}
"""Values of the settings that have few."""


@dataclass(frozen=True)
class Pair:
    """A row and what it is compared with, by their indices in the plan, and the names of the baselines that say so."""

    row: int
    baseline: int
    names: tuple[str, ...]


def with_baselines(
    rows: Sequence[SpeedRow], baselines: Sequence[Baseline], registry: Registry, preset: str
) -> tuple[list[SpeedRow], list[Pair]]:
    """The rows, each baseline before the first row that is compared with it, and all pairs."""
    compared: list[tuple[SpeedRow, SpeedRow, str]] = []
    ordered: dict[str, SpeedRow] = {}
    for row in rows:
        for baseline in baselines:
            other = None if row.skip else changed(row, baseline.change, registry, preset)
            if other is not None and other.key != row.key:
                compared.append((row, other, baseline.name))
                ordered.setdefault(other.key, other)
        ordered.setdefault(row.key, row)
    index = {key: number for number, key in enumerate(ordered)}
    names: dict[tuple[int, int], list[str]] = {}
    for row, other, name in compared:
        names.setdefault((index[row.key], index[other.key]), []).append(name)
    pairs = [Pair(row_index, baseline_index, tuple(these)) for (row_index, baseline_index), these in names.items()]
    return list(ordered.values()), pairs


def changed(row: SpeedRow, change: Mapping[str, Any], registry: Registry, preset: str) -> SpeedRow | None:
    """The row with some things changed; None where its plugins have no such parameter, or the new ones do not go
    together. Raises UserError for a value that is not allowed."""
    values: dict[str, Any] = {}
    choices = dict(row.choices)
    for key, value in change.items():
        axis, _, parameter = key.partition(".")
        if axis in SETTINGS:
            values[axis] = value
            continue
        choice = choices.get(axis)
        if choice is None or (parameter and parameter not in choice.values):
            return None
        if parameter:
            choices[axis] = with_parameter(choice, key, value)
        else:
            choices[axis] = named_plugin(axis, value, registry, preset)
    uses = choices["method"].spec.uses
    for axis in ("backbone", "masking"):
        if axis not in uses:
            choices.pop(axis, None)
        elif axis not in choices:
            return None
    values |= {axis: choices.get(axis) for axis in SPEED_AXES}
    row = replace(row, **values)
    return None if why_not_timed(row.method, row.backbone) else row


def with_parameter(choice: Choice[Any], key: str, value: Any) -> Choice[Any]:
    """The plugin with one parameter changed. Raises UserError for a value that it refuses."""
    try:
        params = type(choice.params)(**{**choice.values, key.partition(".")[2]: value})
    except ValidationError as error:
        raise UserError(*(f"baseline {key}: {line}" for line in validation_lines(error))) from None
    return replace(choice, params=params)


def named_plugin(axis: str, value: Any, registry: Registry, preset: str) -> Choice[Any]:
    """The plugin that a baseline names. Raises UserError for one that is unknown or has a wrong parameter."""
    where = f"baseline {axis}"
    reference = parse_reference(value, where) if isinstance(value, str) else read_reference(value, where)
    choices, mistakes = look_up(axis, [reference], registry, preset)
    if not choices or choices[0] is None:
        raise UserError(*mistakes)
    return choices[0]


def impossible_changes(raw: RawSuite, baseline: Baseline) -> list[str]:
    """One line for each thing that a baseline changes and that no row has."""
    allowed = [*SETTINGS, *SPEED_AXES]
    lines = []
    for key, value in baseline.change.items():
        axis, _, parameter = key.partition(".")
        where = f"{raw.source}: baseline {baseline.name!r}"
        if axis not in allowed or (parameter and axis in SETTINGS):
            lines.append(
                f"{where}: nothing is called {key!r}{did_you_mean(axis, allowed)}"
                f" (allowed: {', '.join(allowed)}; parameters: AXIS.KEY)"
            )
        elif axis in ALLOWED and value not in ALLOWED[axis]:
            lines.append(f"{where}: {axis} = {value!r}: one of {', '.join(ALLOWED[axis])}")
        elif axis == "batch_size" and not (isinstance(value, int) and value > 0):
            lines.append(f"{where}: batch_size = {value!r}: a whole number above 0")
    return lines
