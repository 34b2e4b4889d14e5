"""Simulators: the same for the same seed, tables of numbers, and claims with their evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, get_args

from sslbench.contracts.simulator import SimulationResult, Simulator, Verdict
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.problem import Problems

SEED = 3
"""that simulators are tried with"""
CLAIM_SEEDS = 3
"""seeds that claims are checked on"""


def few_seeds(trial: Trial) -> Any:
    """The parameters, with few seeds for the claims."""
    if "claim_seeds" in type(trial.params).model_fields:
        return trial.params.model_copy(update={"claim_seeds": min(CLAIM_SEEDS, trial.params.claim_seeds)})
    return trial.params


def few(trial: Trial) -> Simulator:
    """It, checking its claims on few seeds."""
    found: Simulator = replace(trial, params=few_seeds(trial), made={}).build()
    return found


def result_of(trial: Trial) -> SimulationResult:
    """Of one run."""
    return trial.once(few).run(SEED)


@check("simulator", "A small study without training", level="bounds", gate=True)
def is_one(trial: Trial) -> Problems:
    """It has ``run``."""
    if not isinstance(trial.built, Simulator):
        yield "build must return an object with run(seed)"
    if "claim_seeds" not in type(trial.params).model_fields:
        yield "its parameters are no SimulatorParams: they have no claim_seeds"


@check("simulator", "named tables, claims, figures by name, and what follows", "run", level="bounds", gate=True)
def returns_tables(trial: Trial) -> Problems:
    """Rows with the same columns, of values that JSON has, None with a reason."""
    result = trial.once(result_of)
    if not isinstance(result, SimulationResult):
        yield f"run returned a {type(result).__name__}, not a SimulationResult"
        return
    if not result.tables:
        yield "returns no table"
    for name, rows in result.tables.items():
        yield from (f"table {name!r}: {line}" for line in table_problems(rows))
    if not isinstance(result.advice, str):
        yield f"advice is {result.advice!r:.60}, not a text"


def table_problems(rows: Sequence[Mapping[str, Any]]) -> Problems:
    """Columns that differ, values that are not finite, values without a reason; the first of each kind."""
    if len(rows) == 0:
        yield "it has no row"
    if len({tuple(row) for row in rows}) > 1:
        yield "its rows do not have the same columns"
    values = [(key, value) for row in rows for key, value in row.items()]
    infinite = [f"{k} is {v}, not None" for k, v in values if isinstance(v, float) and not math.isfinite(v)]
    yield from infinite[:1]
    for key, value in values:
        try:
            json.dumps(value)
        except TypeError:
            yield f"{key} is a {type(value).__name__}; allowed: numbers and texts of Python"
            break
    if not infinite and any(None in row.values() and not row.get("reason") for row in rows):
        yield "a value is None and the row's 'reason' does not say why"


@check("simulator", "Tables and figures of ``seed``, claims of it and those after", "run")
def same_for_the_same_seed(trial: Trial) -> Problems:
    """Again, and from one that is built again."""
    result = trial.once(result_of)
    for words, simulator in (("", trial.once(few)), (" when it is built again", few(trial))):
        again = simulator.run(SEED)
        if (result.tables, list(result.claims)) != (again.tables, list(again.claims)):
            yield f"not the same for the same seed{words}"
            return


@check("simulator", "A sentence of the literature that a run confirms or refutes, as ``check_claim`` makes it", "run")
def claims_have_their_evidence(trial: Trial) -> Problems:
    """Source, condition, numbers, verdict and seeds."""
    asked = getattr(few_seeds(trial), "claim_seeds", CLAIM_SEEDS)
    for claim in trial.once(result_of).claims:
        where = f"claim {claim.statement!r:.60}"
        if not (claim.statement and claim.source and claim.expected and claim.measured):
            yield f"{where} lacks its source, what it expects or what was measured"
        if claim.verdict not in get_args(Verdict):
            yield f"{where}: verdict {claim.verdict!r}; allowed: {', '.join(get_args(Verdict))}"
        if not claim.seeds or min(claim.seeds) < SEED:
            yield f"{where}: it rests on the seeds {list(claim.seeds)[:5]}, not on {SEED} and those after"
        elif len(set(claim.seeds)) != asked:
            yield f"{where}: it rests on {len(set(claim.seeds))} seeds; claim_seeds asks for {asked}"


@check("simulator", "a function that draws it and returns a matplotlib figure", "run", level="defaults")
def figures_are_drawn(trial: Trial) -> Problems:
    """Where matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    for name, draw in trial.once(result_of).figures.items():
        if not callable(draw):
            yield f"figure {name!r} is a {type(draw).__name__}, not a function that draws one"
            continue
        figure = draw()
        if not callable(getattr(figure, "savefig", None)):
            yield f"figure {name!r} returned a {type(figure).__name__}, not a matplotlib figure"
        elif hasattr(figure, "clear"):
            figure.clear()
