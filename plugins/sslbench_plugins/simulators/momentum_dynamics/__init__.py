"""Lag against stability of a momentum encoder: the EMA of an encoder that takes noisy steps, at different momenta."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sslbench import BuildContext, Claim, SimulationResult, SimulatorParams, SimulatorSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.blocks.studies.results import Row, SeedResults, new_figure
from sslbench_plugins.simulators.momentum_dynamics import tables
from sslbench_plugins.simulators.momentum_dynamics.tables import LAGS, SCORES, STARTS, Trajectories

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "tutorial on self-supervised learning, exercise on momentum dynamics"
REASONABLE = 0.999
START_WORDS = {"as written": "target starts at 1", "copied": "target starts as a copy"}
MOST_VALUES = 10_000_000
"""steps x parameters; several arrays of as many floats are held at once"""
LABELS = {
    "l2_distance": "L2 distance",
    "staleness_steps": "staleness, steps",
    "variance_over_time": "variance over time",
}


class MomentumParams(SimulatorParams):
    """The encoder, its steps, and the momenta."""

    m: Annotated[tuple[Annotated[float, Field(ge=0, lt=1, strict=True)], ...], Several, OneOrMore] = param(
        (0.9, 0.99, 0.999, 0.9999), "momenta of the target, each in [0, 1), a+b+c"
    )
    steps: int = param(500, "steps of the online encoder", ge=1, le=20_000, unit="steps")
    parameters: int = param(100, "parameters of the encoder", ge=1, le=100_000)
    noise: float = param(0.1, "standard deviation of a step", gt=0, le=1e6)
    window: int = param(100, "steps that the variance over time looks back on", ge=1, unit="steps")


class MomentumDynamics:
    """The same noisy steps for every momentum and both starts."""

    def __init__(self, params: MomentumParams, context: BuildContext) -> None:
        if params.steps * params.parameters > MOST_VALUES:
            raise UserError(
                f"steps = {params.steps} and parameters = {params.parameters}: their product is at most {MOST_VALUES:,}"
            )
        self.params = params

    def trajectories(self, seed: int) -> Trajectories:
        p = self.params
        online = tables.online_path(seed, p.steps, p.parameters, p.noise)
        paths = {}
        for start, m in product(STARTS, p.m):
            target = tables.moving_average(online, m, STARTS[start])
            paths[start, m] = {
                "l2_distance": tables.lag(online, target),
                "staleness_steps": tables.staleness(online, target),
                "variance_over_time": tables.variance_over_time(target, p.window),
                "variance_of_parameters": target.var(axis=1),
            }
        return paths

    def run(self, seed: int) -> SimulationResult:
        measured = {s: self.trajectories(s) for s in range(seed, seed + self.params.claim_seeds)}
        paths = measured[seed]
        balance = tables.trade_off_rows(paths)
        return SimulationResult(
            {"comparison": comparison_rows(paths), "trade_off": balance, "steps": step_rows(paths)},
            claims(measured, self.params.m),
            {"dynamics": lambda: dynamics_figure(paths)},
            advice(balance),
        )


def claims(measured: Mapping[int, Trajectories], given: tuple[float, ...]) -> list[Claim]:
    """All claims for the ``given`` momenta; the trade-off only where 0.999 is one of three or more."""
    seeds, momenta = SeedResults(SOURCE, measured), sorted(set(given))
    results = []
    for start in START_WORDS:
        results.append(order_claim(seeds, momenta, start, "variance_over_time"))
        results += [order_claim(seeds, momenta, start, quantity, lag) for lag, quantity in LAGS.items()]
        if REASONABLE in momenta and len(momenta) > 2:
            results += [trade_off_claim(seeds, start, score) for score in SCORES]
    return results


def order_claim(
    seeds: SeedResults[Trajectories], momenta: list[float], start: str, quantity: str, lag: str | None = None
) -> Claim:
    """With every higher momentum the final value of a quantity falls, or the mean of one that is a ``lag`` rises."""

    def value(paths: Trajectories, m: float) -> float:
        path = paths[start, m][quantity]
        return float(path.mean() if lag else path[-1])

    def ordered(paths: Trajectories) -> bool | None:
        change = np.diff([value(paths, m) for m in momenta])
        return bool((change > 0).all() if lag else (change < 0).all()) if len(change) else None

    def at(m: float) -> str:
        return f"m {m:g}: {seeds.spread(lambda paths: value(paths, m))}"

    words = f"stale ({lag}, {START_WORDS[start]})" if lag else f"stable ({START_WORDS[start]})"
    order = f"mean {lag} rises" if lag else "variance over the last steps falls"
    return seeds.claim(
        f"higher momentum is more {words}",
        f"the {order} with every higher m",
        ordered,
        "; ".join(at(m) for m in momenta),
    )


def trade_off_claim(seeds: SeedResults[Trajectories], start: str, score: str) -> Claim:
    """One score of L2 lag and variance is best at 0.999 alone."""

    def best(paths: Trajectories) -> list[float]:
        momenta, scores = tables.momentum_scores(paths, start, "L2 distance")
        return [momenta[index] for index in tables.winners(scores[score].values)]

    won = SeedResults(SOURCE, {seed: best(paths) for seed, paths in seeds.results.items()})
    counted = tables.tally((tables.names(momenta) or "nobody" for momenta in won.results.values()), "on", ", ")
    return won.claim(
        f"m = {REASONABLE} is a reasonable trade-off ({score} of lag and variance, {START_WORDS[start]})",
        f"the best {score} is at m = {REASONABLE} alone",
        lambda momenta: momenta == [REASONABLE] if momenta else None,
        f"the winner is {counted}",
    )


def comparison_rows(paths: Trajectories) -> list[Row]:
    """Mean over the steps and value after the last one, of each quantity."""
    rows = []
    for (start, m), path in paths.items():
        row: Row = {"start": start, "momentum": m}
        for name, values in path.items():
            row |= {f"mean_{name}": float(values.mean()), f"final_{name}": values[-1].item()}
        rows.append(row)
    return rows


def step_rows(paths: Trajectories) -> list[Row]:
    """Each quantity after each step, counted from 1."""
    return [
        {"start": start, "momentum": m, "step": step} | dict(zip(path, values, strict=True))
        for (start, m), path in paths.items()
        for step, values in enumerate(zip(*(values.tolist() for values in path.values()), strict=True), start=1)
    ]


def advice(balance: list[Row]) -> str:
    """Counts which momentum wins how many of the scores."""
    winners = [row["winner"] for row in balance if row["start"] == "copied" and row["winner"]]
    if not winners:
        return "One momentum alone says nothing about a trade-off; give several."
    return (
        "Start the target as a copy, and take no single score for the best momentum: of the"
        f" {len(winners)} balances of lag and variance that have a winner, it is {tables.tally(winners, 'in', '; ')}."
    )


def dynamics_figure(paths: Trajectories) -> Figure:
    """A row for each start, a line for each momentum."""
    figure = new_figure(12, 6)
    grid = figure.subplots(len(STARTS), len(LABELS), sharex=True)
    for row, start in zip(grid, STARTS, strict=True):
        for axes, (name, label) in zip(row, LABELS.items(), strict=True):
            # Styles differ, since lines of two momenta may lie on each other.
            styles = cycle(("-", "--", "-.", ":"))
            for m in [m for path_start, m in paths if path_start == start]:
                values = paths[start, m][name]
                axes.plot(np.arange(1, len(values) + 1), values, next(styles), label=f"m = {m:g}", linewidth=1.3)
            axes.set(title=f"{label} ({start})", xlabel="step")
        row[2].set_yscale("symlog", linthresh=1e-8)
    grid[0][0].legend(fontsize="small")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="momentum-dynamics", params=MomentumParams, build=MomentumDynamics, citation=SOURCE)]
