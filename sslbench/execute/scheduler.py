"""Runs a suite: checks the request, plans, and hands the plan to a session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslbench.contracts.executor import Executor
from sslbench.contracts.plugin import BuildContext, check_trust
from sslbench.errors import PluginError, UserError
from sslbench.execute.request import Outcome, Request
from sslbench.execute.session import OnEvent, Session
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.builtin import builtin_suites
from sslbench.plan.cell import Cell
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.plan import Plan, make_plan
from sslbench.plan.reference import parse_reference
from sslbench.plan.suite import Overrides, RawSuite, read_suite
from sslbench.store.results import ResultsStore


def run(request: Request | None = None, on_event: OnEvent | None = None, registry: Registry | None = None) -> Outcome:
    """Run a suite and return its records. Raises UserError, PluginError or StoreLocked before the first cell; from then
    on, what goes wrong is in the records, and an interrupt keeps what is finished."""
    request = request or Request()
    registry = registry or default_registry()
    outcome, cells = prepare(request, registry)
    executor = build_executor(request.executor, registry)
    return Session(request, outcome, on_event or (lambda event: None), registry).run(cells, executor)


def plan_only(request: Request, registry: Registry | None = None) -> Plan:
    """What a run would do. Reads the store if there is one, writes nothing."""
    registry = registry or default_registry()
    outcome, cells = prepare(request, registry)
    if not ResultsStore.exists(outcome.out):
        return make_plan(outcome.suite, cells, None, fresh=request.fresh)
    with ResultsStore.open_for_reading(outcome.out) as store:
        return make_plan(outcome.suite, cells, store, fresh=request.fresh, keep_stale=request.keep_stale)


def prepare(request: Request, registry: Registry) -> tuple[Outcome, list[Cell]]:
    """All cells of the suite, and the outcome before any has run. Raises UserError or PluginError for all that is wrong
    about the request."""
    raw = request.suite if isinstance(request.suite, RawSuite) else read_suite(request.suite, request.size)
    overrides = with_device(raw, request.overrides)
    broken = [
        f"plugin {loaded.entry.name} of {loaded.entry.distribution} is broken: {loaded.failure} (--strict-plugins)"
        for loaded in (registry.load_all() if request.strict_plugins else ())
        if loaded.failure
    ]
    if broken:
        raise PluginError(*broken)
    suite = resolve_suite(raw, overrides, registry)
    for choice in filter(None, (*suite.axes["method"], *suite.axes["backbone"])):
        check_trust(choice.spec, choice.params, request.trust)
    is_file = raw.source not in builtin_suites() and Path(raw.source).is_file()
    source = str(Path(raw.source).absolute()) if is_file else raw.source
    return Outcome(suite.name, request.out or Path("sslbench-results") / suite.name, source), expand(suite)


def with_device(raw: RawSuite, overrides: Overrides) -> Overrides:
    """``overrides`` with device and precision as they are on this machine. Values that are none are left as they are:
    the suite's own check names them."""
    from sslbench.measure.machine import resolve_device, resolve_precision

    own = raw.data.get("training")
    settings = {**(own if isinstance(own, Mapping) else {}), **overrides.training}
    device, precision = settings.get("device", "auto"), settings.get("precision", "auto")
    if not isinstance(device, str) or precision not in ("auto", "fp32", "bf16", "fp16"):
        return overrides
    device = resolve_device(device)
    resolved: dict[str, Any] = {"device": device, "precision": resolve_precision(precision, device)}
    return Overrides(overrides.axes, overrides.seeds, {**overrides.training, **resolved})


def build_executor(text: str, registry: Registry) -> Executor:
    """The executor that a reference such as ``inline`` names. Raises UserError, or what keeps it from being loaded."""
    reference = parse_reference(text, "--executor")
    spec = registry.get("executor", reference.name)
    params, mistakes = resolve(spec.label, spec.params, reference.given, spec.presets)
    if params is None:
        raise UserError(*(f"--executor: {line}" for line in mistakes))
    executor: Executor = spec.build(params, BuildContext())
    return executor
