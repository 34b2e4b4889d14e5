"""Lag against stability of a momentum encoder: the EMA of an encoder that takes noisy steps, at different momenta."""

from __future__ import annotations

from itertools import cycle, product
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from sslbench import BuildContext, SimulationResult, SimulatorParams, SimulatorSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.blocks.studies.results import Row, new_figure
from sslbench_plugins.simulators.momentum_dynamics import tables
from sslbench_plugins.simulators.momentum_dynamics.claims import SOURCE, claims
from sslbench_plugins.simulators.momentum_dynamics.tables import STARTS, Trajectories, tally, trade_off_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_VALUES = 10_000_000
"""steps x parameters; several arrays of as many floats are held at once"""
LABELS = {
    "l2_distance": "L2 distance",
    "staleness_steps": "staleness, steps",
    "variance_over_time": "variance over time",
}


class MomentumParams(SimulatorParams):
    """The encoder, its steps, and the momenta."""

    m: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Several, OneOrMore] = param(
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
        balance = trade_off_rows(paths)
        return SimulationResult(
            {"comparison": comparison_rows(paths), "trade_off": balance, "steps": step_rows(paths)},
            claims(measured, self.params.m),
            {"dynamics": lambda: dynamics_figure(paths)},
            advice(balance),
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
        f" {len(winners)} balances of lag and variance that have a winner, it is {tally(winners, 'in', '; ')}."
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
