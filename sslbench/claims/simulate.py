"""Runs simulators: parameters and a seed in; tables, claims and figures out, the figures as files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from sslbench.contracts.plugin import BuildContext
from sslbench.contracts.simulator import SimulationResult, SimulatorSpec
from sslbench.errors import PluginError, UserError, did_you_mean, text_of
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.cell import Choice
from sslbench.store.json_parts import plain

SEED = 42
"""of the tables, where none is given"""
INSTALL = "pip install 'sslbench[plots]'"
"""what figures need"""


@dataclass(frozen=True)
class Simulation:
    """What one simulator returned, and what it was run with."""

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
    failures = failed if names is None else None
    specs = []
    for name in registry.names("simulator") if names is None else names:
        try:
            specs.append(cast(SimulatorSpec, registry.get("simulator", name)))
        except PluginError as error:
            if failures is None:
                raise
            failures += error.messages
    return run_each(resolve_all(specs, given or {}), seed, failures)


def run_each(
    simulators: Sequence[Choice[SimulatorSpec]], seed: int, failures: list[str] | None
) -> Iterator[Simulation]:
    """Run them in order; what one raises is a line of ``failures`` where those are collected."""
    for simulator in simulators:
        try:
            simulation = run_one(simulator, seed)
        except (UserError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if failures is None:
                raise
            words = text_of(error).partition("\n")[0]
            command = f"sslbench simulate {simulator.name}"
            failures.append(f"{simulator.spec.label} raised {type(error).__name__}: {words} (all of it: {command})")
            continue
        yield simulation


def resolve_all(specs: Sequence[SimulatorSpec], given: Mapping[str, Any]) -> list[Choice[SimulatorSpec]]:
    """Each simulator with its parameters. Raises UserError with one line per mistake."""
    # The mistakes of a single simulator say themselves which parameters it has.
    several = len(specs) != 1
    if several:
        known = sorted({name for spec in specs for name in spec.params.model_fields})
        unknown = [f"{key!r}{did_you_mean(key, known)}" for key in given if key not in known]
        if unknown:
            raise UserError(
                *(f"no simulator has a parameter {key} (see: sslbench show simulator NAME)" for key in unknown)
            )
    simulators, mistakes = [], []
    for spec in specs:
        own = {key: value for key, value in given.items() if not several or key in spec.params.model_fields}
        params, wrong = resolve(spec.label, spec.params, own, spec.presets)
        mistakes += wrong
        if params is not None:
            simulators.append(Choice(spec, params))
    if mistakes:
        raise UserError(*mistakes)
    return simulators


def run_one(simulator: Choice[SimulatorSpec], seed: int) -> Simulation:
    """Run one simulator. Raises whatever it raises."""
    spec = simulator.spec
    result: SimulationResult = simulator.build(BuildContext()).run(seed)
    where = f"{spec.label}, table"
    tables = {name: [finite(row, f"{where} {name}") for row in rows] for name, rows in result.tables.items()}
    parameters = plain(simulator.values, spec.label)
    return Simulation(spec.name, spec.summary, seed, parameters, replace(result, tables=tables))


def finite(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A row of plain values; what is not a finite number is None and, where the simulator gives none, gets a reason.

    ``where`` names the row in the error for a value that JSON cannot hold.
    """
    copy: dict[str, Any] = plain(dict(row), where)
    undefined = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    if undefined and not copy.get("reason"):
        copy["reason"] = f"not a finite number: {', '.join(undefined)}"
    return copy


def check_figures(folder: Path) -> None:
    """Raises UserError where figures could not be drawn or saved, before anything is computed."""
    if find_spec("matplotlib") is None:
        raise UserError(f"figures need matplotlib, which is not installed: {INSTALL}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--figures {str(folder)!r}: cannot be made: {error.strerror}") from None


def save_figures(simulator: str, figures: Mapping[str, Callable[[], Any]], folder: Path) -> list[Path]:
    """Save each as ``SIMULATOR-NAME.png`` and ``.svg`` in ``folder``; the same input gives the same bytes.

    ``figures``: name -> a function that returns a matplotlib figure. Raises UserError where a file cannot be written.
    """
    import matplotlib

    written = []
    # Element ids in SVG are random without a salt.
    with matplotlib.rc_context({"svg.hashsalt": "sslbench"}):
        for name, draw in figures.items():
            figure = draw()
            for ending, metadata in (("png", {}), ("svg", {"Date": None})):
                path = folder / f"{simulator}-{name}.{ending}"
                try:
                    figure.savefig(path, dpi=150, metadata=metadata)
                except OSError as error:
                    raise UserError(f"--figures: {str(path)!r} cannot be written: {error.strerror}") from None
                written.append(path)
    return written
