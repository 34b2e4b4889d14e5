"""Rows of a speed suite: which training step is timed, and how; and the same row with some things changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

from sslbench.contracts.executor import Precision
from sslbench.contracts.plugin import Spec
from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench.hooks.values import Written, read_json
from sslbench.plan.cell import Choice, codes_of, digest
from sslbench.plan.choose import look_up
from sslbench.plan.expand import incompatible
from sslbench.plan.identity import harness_identity
from sslbench.plan.reference import parse_reference, read_reference
from sslbench.speed.suite import COMPILING, SPEED_AXES, Baseline

SETTINGS = ("batch_size", "precision", "compile")
"""What may differ from row to row and is no plugin."""
ALLOWED = {"precision": get_args(Precision)[1:], "compile": tuple(COMPILING)}


@dataclass(frozen=True)
class SpeedRow:
    """One training step whose speed is measured. An axis that the method does not use is None."""

    method: Choice[Any]
    backbone: Choice[Any] | None
    masking: Choice[Any] | None
    augmentation: Choice[Any] | None
    """of the end-to-end measurement, as the data set is; None without one"""
    dataset: Choice[Any] | None
    batch_size: int
    precision: str
    compile: str
    """a configuration of ``COMPILING``"""
    image_size: int
    """pixels"""
    device: str

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins, by axis."""
        return {axis: getattr(self, axis) for axis in SPEED_AXES if getattr(self, axis) is not None}

    @property
    def name(self) -> str:
        """The names of its plugins."""
        return " ".join(choice.name for choice in self.choices.values())

    @property
    def skip(self) -> str | None:
        """Why this row cannot be timed, or None."""
        if not self.method.spec.trains:
            return f"{self.method.name} takes no training step"
        return incompatible(self.method, self.backbone)

    @property
    def mask_ratio(self) -> float | None:
        """Share of the patches that are masked, in (0, 1); None where nothing is."""
        return getattr(self.masking.params, "ratio", None) if self.masking else None

    @property
    def settings(self) -> dict[str, Any]:
        """All that is no plugin, JSON-able; of the device its kind alone."""
        settings = {name: getattr(self, name) for name in (*SETTINGS, "image_size")}
        return {**settings, "device": self.device.partition(":")[0]}

    @cached_property
    def description(self) -> dict[str, Any]:
        """What is to be measured, whatever code computes it."""
        return {**{axis: choice.description for axis, choice in self.choices.items()}, "speed": self.settings}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code that computes it."""
        return {"code": {"the harness": harness_identity(), **codes_of(self.choices.values())}}

    @cached_property
    def key(self) -> str:
        """Hash of the description and of the code."""
        return digest([self.description, self.inputs])

    def value(self, key: str) -> Any:
        """Of ``precision``, ``method`` (its name) or ``method.decoder_depth``; None where there is no such thing."""
        axis, _, parameter = key.partition(".")
        if axis in SETTINGS:
            return getattr(self, axis)
        choice = self.choices.get(axis)
        return None if choice is None else choice.values.get(parameter) if parameter else choice.name

    def matches(self, where: Mapping[str, Any]) -> bool:
        """Whether each key of ``where`` has this value."""
        return all(self.value(key) == wanted for key, wanted in where.items())


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
    ordered: dict[str, SpeedRow] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for baseline in baselines:
            other = None if row.skip else changed(row, baseline.change, registry, preset)
            if other is not None and other.key != row.key:
                names.setdefault((row.key, other.key), []).append(baseline.name)
                ordered.setdefault(other.key, other)
        ordered.setdefault(row.key, row)
    index = {key: number for number, key in enumerate(ordered)}
    pairs = [Pair(index[row], index[other], tuple(baseline_names)) for (row, other), baseline_names in names.items()]
    return list(ordered.values()), pairs


def changed(row: SpeedRow, change: Mapping[str, Any], registry: Registry, preset: str) -> SpeedRow | None:
    """The row with some things changed; None where its plugins have no such parameter, or the new ones do not go
    together. Raises UserError for a value that is not allowed."""
    values: dict[str, Any] = {axis: getattr(row, axis) for axis in SPEED_AXES}
    for key, value in change.items():
        axis, _, parameter = key.partition(".")
        if axis in SETTINGS:
            values[axis] = whole(value) if axis == "batch_size" else str(value)
            continue
        choice = values[axis]
        if choice is None or (parameter and parameter not in choice.values):
            return None
        new = with_parameter(choice, key, value) if parameter else named_plugin(axis, value, registry, preset)
        values[axis] = new
    for axis in ("backbone", "masking"):
        if axis not in values["method"].spec.uses:
            values[axis] = None
        elif values[axis] is None:
            return None
    row = replace(row, **values)
    return None if row.skip else row


def with_parameter(choice: Choice[Any], key: str, value: Any) -> Choice[Any]:
    """The plugin with one parameter changed. Raises UserError for a value that it refuses."""
    changes = {key.partition(".")[2]: value}
    params, mistakes = resolve(f"baseline {key}", type(choice.params), changes, {"": choice.values}, "")
    if params is None:
        raise UserError(*mistakes)
    return replace(choice, params=params)


def named_plugin(axis: str, value: Any, registry: Registry, preset: str) -> Choice[Any]:
    """The plugin that a baseline names. Raises UserError for one that is unknown or has a wrong parameter."""
    where = f"baseline {axis}"
    reference = parse_reference(value, where) if isinstance(value, str) else read_reference(value, where)
    choices, mistakes = look_up(axis, [reference], registry, preset)
    if not choices or choices[0] is None:
        raise UserError(*mistakes)
    return choices[0]


def impossible_changes(source: str, baseline: Baseline) -> list[str]:
    """One line for each thing that a baseline changes and that no row has. ``source``: the suite's name."""
    allowed = [*SETTINGS, *SPEED_AXES]
    lines = []
    for key, value in baseline.change.items():
        axis, _, parameter = key.partition(".")
        if axis not in allowed or (parameter and axis in SETTINGS):
            hint = did_you_mean(axis, allowed)
            lines.append(f"nothing is called {quoted(key)}{hint} (allowed: {', '.join(allowed)}; parameters: AXIS.KEY)")
        elif axis in ALLOWED and value not in ALLOWED[axis]:
            hint = did_you_mean(str(value), list(ALLOWED[axis]))
            lines.append(f"{axis} = {quoted(value)}: one of {', '.join(ALLOWED[axis])}{hint}")
        elif axis == "batch_size" and whole(value) is None:
            lines.append(f"batch_size = {quoted(value)}: a whole number above 0")
    return [f"{source}: baseline {quoted(baseline.name)}: {line}" for line in lines]


def unknown_parameters(source: str, baseline: Baseline, specs: Sequence[Spec]) -> list[str]:
    """One line for each parameter that a baseline changes and that none of the plugins measured has."""
    lines = []
    for key in baseline.change:
        axis, _, parameter = key.partition(".")
        known = sorted({name for spec in specs if spec.kind == axis for name in spec.params.model_fields})
        if parameter and axis not in baseline.change and parameter not in known:
            hint = did_you_mean(parameter, known)
            words = f"no {axis} that is measured has a parameter {quoted(parameter)}{hint}"
            lines.append(f"{source}: baseline {quoted(baseline.name)}: {words} (allowed: {', '.join(known) or 'none'})")
    return lines


def whole(value: Any) -> int | None:
    """A whole number above 0, also as text of the command line; None for anything else."""
    value = read_json(value) if isinstance(value, Written) else value
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None
