"""The parameters that a spec is tried with: its defaults, its presets, and the limits of each parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sslbench.contracts.params import MaskingParams, MethodParams, Params, SimulatorParams
from sslbench.contracts.plugin import Spec
from sslbench.hooks.params import resolve
from sslbench.testing.conformance.check import Level

OURS = (MethodParams, MaskingParams, SimulatorParams)
"""whose parameters the harness reads, not the plugin"""
LARGEST = 64
"""a whole number up to here, or up to twice the default, is tried: larger ones take time and memory"""
NEAR = 1e-3
"""of the way from a limit that is not allowed itself to the default"""


@dataclass(frozen=True)
class Setting:
    """One set of parameters."""

    words: str
    """as a user gives them, empty for the defaults"""
    params: Params
    level: Level


def settings_of(spec: Spec, given: Mapping[str, Any]) -> tuple[list[Setting], list[str]]:
    """Those that can be tried, the defaults first, and one line for each mistake of what was given."""
    params, mistakes = resolve(spec.label, spec.params, given, spec.presets)
    if params is None:
        return [], mistakes
    settings = [Setting("", params, "defaults")]
    for preset in spec.presets:
        resolved, _ = resolve(spec.label, spec.params, given, spec.presets, preset)
        if resolved is not None:  # what is wrong with it is a fault of its own
            settings.append(Setting(f"preset={preset}", resolved, "presets"))
    own = {name: f for name, f in spec.params.model_fields.items() if not any(name in m.model_fields for m in OURS)}
    for name, field in own.items():
        for value in () if name in given else limits(field, getattr(params, name)):
            resolved, _ = resolve(spec.label, spec.params, {**given, name: value}, spec.presets)
            if resolved is not None and resolved != params:  # what is refused is said in words
                settings.append(Setting(f"{name}={value}", resolved, "bounds"))
    return settings, []


def limits(field: FieldInfo, default: Any) -> Iterator[Any]:
    """The smallest and largest values of a number, every word of a choice, both of a truth."""
    kinds = [field.annotation, *get_args(field.annotation)]
    for kind in kinds:
        if get_origin(kind) is Literal:
            yield from get_args(kind)
    if bool in kinds:
        yield from (False, True)
        return
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return
    whole = int in kinds and float not in kinds
    for item in field.metadata:
        for word, step in (("ge", 0), ("gt", 1), ("le", 0), ("lt", -1)):
            limit = getattr(item, word, None)
            if limit is not None and (value := within(limit, step, default, whole)) is not None:
                yield value


def within(limit: float, step: int, default: float, whole: bool) -> float | None:
    """The value at a limit, or next to one that is not allowed itself; None for one that would take long."""
    if whole:
        value = math.ceil(limit) + step if step >= 0 else math.floor(limit) + step
        return value if abs(value) <= max(LARGEST, 2 * abs(default)) else None
    return float(limit) if step == 0 else limit + NEAR * (default - limit)


def words_of(settings: Sequence[str]) -> str:
    """``with preset=quick and 3 other settings``; empty where the defaults are among them."""
    if "" in settings:
        return ""
    others = len(settings) - 1
    more = f" and {others} other settings" if others > 1 else " and another setting" if others else ""
    return f"with {settings[0]}{more}"
