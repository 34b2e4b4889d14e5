"""Runs simulators: parameters and a seed in; tables, claims and figures out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from sslbench.contracts.params import Params
from sslbench.contracts.plugin import BuildContext
from sslbench.contracts.simulator import SimulationResult, SimulatorSpec
from sslbench.errors import PluginError, UserError, did_you_mean
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry, default_registry
from sslbench.store.plain_values import plain

SEED = 42
"""of the tables, where none is given"""


@dataclass(frozen=True)
class Simulation:
    """One simulator's answer, and what it was asked."""

    name: str
    summary: str
    seed: int
    parameters: dict[str, Any]
    """resolved, as JSON has them"""
    result: SimulationResult


def simulate(
    names: list[str] | None = None,
    *,
    seed: int = SEED,
    given: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    failed: list[str] | None = None,
) -> Iterator[Simulation]:
    """Run the named simulators, or all that are installed, one after another.

    ``given`` parameters go to each simulator that has them. Raises UserError, before anything runs, for an unknown
    simulator, a parameter that none of them has, or a wrong value. Of all that are installed, one that is broken
    stops none of the others where ``failed`` is given: a line about it is appended there.
    """
    registry = registry or default_registry()
    wanted = registry.names("simulator") if names is None else names
    told = failed if names is None else None
    specs = list(found(wanted, registry, told))
    ready = list(zip(specs, resolved(specs, given or {}), strict=True))
    return each(ready, seed, told)


def found(names: list[str], registry: Registry, failed: list[str] | None) -> Iterator[SimulatorSpec]:
    for name in names:
        try:
            yield cast(SimulatorSpec, registry.get("simulator", name))
        except PluginError as error:
            if failed is None:
                raise
            failed += error.messages


def each(ready: list[tuple[SimulatorSpec, Params]], seed: int, failed: list[str] | None) -> Iterator[Simulation]:
    for spec, params in ready:
        try:
            one = run_one(spec, params, seed)
        except UserError:
            raise
        except Exception as error:
            if failed is None:
                raise
            words = str(error).partition("\n")[0]
            command = f"sslbench simulate {spec.name}"
            failed.append(f"{spec.label} raised {type(error).__name__}: {words} (all of it: {command})")
            continue
        yield one


def resolved(specs: list[SimulatorSpec], given: Mapping[str, Any]) -> list[Params]:
    """The parameters of each simulator. Raises UserError with one line per mistake."""
    # A single simulator says itself which parameters it has.
    if len(specs) != 1:
        known = sorted({name for spec in specs for name in spec.params.model_fields})
        where = "see: sslbench show simulator NAME"
        stray = [key for key in given if key not in known]
        if stray:
            raise UserError(
                *(f"no simulator has a parameter {key!r}{did_you_mean(key, known)} ({where})" for key in stray)
            )
    found, mistakes = [], []
    for spec in specs:
        mine = given if len(specs) == 1 else {k: v for k, v in given.items() if k in spec.params.model_fields}
        params, wrong = resolve(spec.label, spec.params, mine, spec.presets)
        mistakes += wrong
        if params is not None:
            found.append(params)
    if mistakes:
        raise UserError(*mistakes)
    return found


def run_one(spec: SimulatorSpec, params: Params, seed: int) -> Simulation:
    result = spec.build(params, BuildContext()).run(seed)
    tables = {
        name: [finite(row, f"{spec.label}, table {name}") for row in rows] for name, rows in result.tables.items()
    }
    return Simulation(
        spec.name,
        spec.summary,
        seed,
        plain(params.model_dump(mode="json"), spec.label),
        replace(result, tables=tables),
    )


def finite(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A row of plain values; what is not a finite number is None and, where the simulator forgot, gets a reason."""
    copy: dict[str, Any] = plain(dict(row), where)
    lost = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    if lost and not copy.get("reason"):
        copy["reason"] = f"not a finite number: {', '.join(lost)}"
    return copy
