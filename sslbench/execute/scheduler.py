"""Runs a suite: checks the request, plans, and hands the plan to a session."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from sslbench.contracts.defaults import EXECUTOR, IN_PROCESS
from sslbench.contracts.executor import Executor, ExecutorSpec, Precision
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.errors import PluginError, SslbenchError, UserError
from sslbench.execute.devices import check_devices, check_graphs
from sslbench.execute.observers import observed
from sslbench.execute.request import Outcome, Request
from sslbench.execute.session import OnEvent, Session
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.cell import Cell, Choice
from sslbench.plan.choose import chosen
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.observers import Observers, read_observers
from sslbench.plan.of_others import taken_from_others
from sslbench.plan.plan import Plan, make_plan
from sslbench.plan.reference import parse_reference
from sslbench.plan.suite import Overrides, RawSuite, read_suite, sized
from sslbench.store.results import ResultsStore


def run(request: Request | None = None, on_event: OnEvent | None = None, registry: Registry | None = None) -> Outcome:
    """Run a suite and return its records. Raises UserError, PluginError or StoreLocked before the first cell; from then
    on, what goes wrong is in the records, and an interrupt keeps what is finished."""
    request = request or Request()
    registry = registry or default_registry()
    outcome, cells, executor, observers = prepare(request, registry)
    with observed(observers) as reports:
        return Session(request, outcome, on_event or (lambda event: None), reports).run(cells, executor)


def plan_only(request: Request, registry: Registry | None = None) -> Plan:
    """What a run would do. Reads the store if there is one, writes nothing."""
    registry = registry or default_registry()
    outcome, cells, *_ = prepare(request, registry)
    if not ResultsStore.exists(outcome.out):
        plan = make_plan(outcome.suite, cells, None, fresh=request.fresh)
    else:
        with ResultsStore.open_for_reading(outcome.out) as store:
            plan = make_plan(outcome.suite, cells, store, fresh=request.fresh, keep_stale=request.keep_stale)
    return replace(plan, notes=(*outcome.notes, *taken_from_others(plan.groups, request.download)))


def prepare(request: Request, registry: Registry) -> tuple[Outcome, list[Cell], Executor, Observers]:
    """The outcome before any cell has run, all cells of the suite, the executor and the observers. Raises UserError or
    PluginError for all that is wrong about the request."""
    raw = request.suite if isinstance(request.suite, RawSuite) else read_suite(request.suite)
    broken = [
        f"plugin {loaded.entry.name} of {loaded.entry.distribution} is broken: {loaded.failure} (--strict-plugins)"
        for loaded in (registry.load_all() if request.strict_plugins else ())
        if loaded.failure
    ]
    if broken:
        raise PluginError(*broken)
    mistakes: list[str] = []
    if request.out is not None and os.path.lexists(request.out) and not request.out.is_dir():
        what = "a link to nothing" if request.out.is_symlink() and not request.out.exists() else "a file"
        mistakes.append(f"--out {str(request.out)!r}: {what}; allowed: a folder, or a name that nothing has yet")
    if request.fresh and request.keep_stale:
        mistakes.append("--fresh and --keep-stale: give one of them")
    with collected(mistakes):
        raw = raw if request.size is None else sized(raw, request.size)
    overrides = request.overrides
    with collected(mistakes):
        executor = executor_for(request, asked_settings(raw, overrides), registry)
        overrides = with_device(raw, overrides, executor)
    observers, wrong = read_observers(raw, request.observers, registry)
    mistakes += wrong
    with collected(mistakes):
        suite = resolve_suite(raw, overrides, registry)
        for choice in filter(None, chain(*suite.axes.values())):
            choice.check_trust(request.trust)
    if not mistakes:
        with collected(mistakes):
            check_devices(suite.training, executor.devices())
            check_graphs(suite.training)
    if mistakes:
        raise UserError(*mistakes)
    is_file = not raw.builtin and Path(raw.source).is_file()
    source = str(Path(raw.source).absolute()) if is_file else raw.source
    out = request.out or Path("sslbench-results") / suite.name
    return Outcome(suite.name, out, source, notes=suite.notes), expand(suite), executor, observers


@contextmanager
def collected(mistakes: list[str]) -> Iterator[None]:
    """Append what is wrong to ``mistakes`` and go on."""
    try:
        yield
    except UserError as error:
        mistakes += error.messages


def executor_for(request: Request, settings: Mapping[str, Any], registry: Registry) -> Executor:
    """The executor that is asked for, built; nothing is started. Raises UserError."""
    own = registry is not default_registry()  # which no other process has
    usual = os.environ.get("SSLBENCH_EXECUTOR")
    name = request.executor or usual or (IN_PROCESS if own else EXECUTOR)
    where = "--executor" if request.executor or not usual else "SSLBENCH_EXECUTOR"
    choice: Choice[ExecutorSpec] = chosen("executor", parse_reference(name, where), registry)
    if request.detach and not choice.spec.detaches:
        others = [other for other in registry.names("executor") if getattr(found(other, registry), "detaches", False)]
        allowed = f"allowed: {', '.join(others)}" if others else "no installed executor does"
        raise UserError(f"--detach: work of executor {choice.name!r} does not go on without this process; {allowed}")
    if request.retries < 0:
        raise UserError(f"--retries {request.retries}: allowed are 0 and more")
    devices = str(settings.get("devices", 1))
    count = int(devices) if devices.isdecimal() else 1  # what is wrong with it the suite's own check says
    executor: Executor = choice.build(BuildContext(device=str(settings.get("device", "auto")), devices=count))
    return executor


def found(name: str, registry: Registry) -> Spec | None:
    """An executor's spec, None where it is broken."""
    with suppress(SslbenchError):
        return registry.get("executor", name)
    return None


def asked_settings(raw: RawSuite, overrides: Overrides) -> dict[str, Any]:
    """Training settings as they were given, unchecked: those of the suite under those of the command line."""
    own = raw.data.get("training")
    return {**(own if isinstance(own, Mapping) else {}), **overrides.training}


def with_device(raw: RawSuite, overrides: Overrides, executor: Executor) -> Overrides:
    """``overrides`` with device and precision as they are where the executor runs. Values that are none are left as
    they are: the suite's own check names them."""
    settings = asked_settings(raw, overrides)
    device, precision = settings.get("device", "auto"), settings.get("precision", "auto")
    if not isinstance(device, str) or precision not in get_args(Precision):
        return overrides
    from sslbench.measure.machine import resolve_device, resolve_precision

    device = resolve_device(device, executor.devices())
    resolved: dict[str, Any] = {"device": device, "precision": resolve_precision(precision, device)}
    return Overrides(overrides.axes, overrides.seeds, {**overrides.training, **resolved})
