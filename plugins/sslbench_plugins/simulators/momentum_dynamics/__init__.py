"""Lag against stability of a momentum encoder: the EMA of an encoder that takes noisy steps, at different momenta."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.blocks.studies.tables import Row
from sslbench_plugins.simulators.momentum_dynamics.claims import SOURCE, claims
from sslbench_plugins.simulators.momentum_dynamics.encoders import online_path, trajectory
from sslbench_plugins.simulators.momentum_dynamics.figures import dynamics_figure
from sslbench_plugins.simulators.momentum_dynamics.tables import (
    STARTS,
    Trajectories,
    comparison_rows,
    step_rows,
    tally,
    trade_off_rows,
)

MOST_VALUES = 10_000_000
"""steps x parameters; several arrays of as many floats are held at once"""


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

    def __init__(self, params: MomentumParams) -> None:
        if params.steps * params.parameters > MOST_VALUES:
            raise UserError(
                f"steps = {params.steps} and parameters = {params.parameters}: their product is at most {MOST_VALUES:,}"
            )
        self.params = params

    def trajectories(self, seed: int) -> Trajectories:
        """(start, momentum) -> what is measured after each step."""
        p = self.params
        online = online_path(seed, p.steps, p.parameters, p.noise)
        return {(start, m): trajectory(online, m, value, p.window) for start, value in STARTS.items() for m in p.m}

    def run(self, seed: int) -> SimulationResult:
        seeds = range(seed, seed + self.params.claim_seeds)
        measured = {number: self.trajectories(number) for number in seeds}
        paths = measured[seed]
        balance = trade_off_rows(paths)
        return SimulationResult(
            {"comparison": comparison_rows(paths), "trade_off": balance, "steps": step_rows(paths)},
            claims(measured, self.params.m),
            {"dynamics": lambda: dynamics_figure(paths)},
            advice(balance),
        )


def advice(balance: list[Row]) -> str:
    """Counts which momentum wins how many of the scores."""
    winners = [row["winner"] for row in balance if row["start"] == "copied" and row["winner"]]
    if not winners:
        return "One momentum alone says nothing about a trade-off; give several."
    return (
        "Start the target as a copy, and take no single score for the best momentum: of the"
        f" {len(winners)} balances of lag and variance that have a winner, it is {tally(winners, 'in', '; ')}."
    )


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    """The simulator."""
    return [
        SimulatorSpec(
            name="momentum-dynamics",
            params=MomentumParams,
            build=lambda params, context: MomentumDynamics(params),
            citation=SOURCE,
        )
    ]
