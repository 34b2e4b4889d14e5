"""Lag against stability of a momentum encoder: a target that follows noisy steps at different momenta."""

from __future__ import annotations

from itertools import cycle
from typing import Annotated, Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from pydantic import Field

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    UserError,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.simulators.momentum_dynamics.trade_off import SCORES, scores, winners

Floats = NDArray[np.float64]
SOURCE = "tutorial on self-supervised learning, exercise on momentum dynamics"
STARTS = {"as written": 1.0, "copied": 0.0}
"""where the target starts; the online encoder starts at 0"""
LAGS = {"l2_distance": "L2 distance", "staleness_steps": "staleness in steps"}
REASONABLE = 0.999
STYLES = ("-", "--", "-.", ":")
MOST_VALUES = 10_000_000
"""steps x parameters; several arrays of as many floats are held at once"""
PART = 1 << 22
"""distances held at once"""
QUANTITIES = ("l2_distance", "staleness_steps", "variance_over_time", "variance_of_parameters")


class MomentumParams(SimulatorParams):
    m: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Several, OneOrMore] = param(
        (0.9, 0.99, 0.999, 0.9999), "momenta of the target, each in [0, 1), a+b+c"
    )
    steps: int = param(500, "steps of the online encoder", ge=1, le=20_000, unit="steps")
    parameters: int = param(100, "parameters of the encoder", ge=1, le=100_000)
    noise: float = param(0.1, "standard deviation of a step", gt=0, le=1e6)
    window: int = param(100, "steps that the variance over time looks back on", ge=1, unit="steps")


def online_path(seed: int, steps: int, parameters: int, noise: float) -> Floats:
    """The online encoder, ``[steps + 1, parameters]``: 0, then a normal(0, noise) step after another."""
    drawn = RandomState(seed).normal(0, noise, (steps, parameters))
    return np.concatenate([np.zeros((1, parameters)), drawn.cumsum(axis=0)])


def moving_average(online: Floats, m: float, start: float) -> Floats:
    """The target after each step, ``[steps, parameters]``: ``target = m * target + (1 - m) * online``.

    ``online`` ``[steps + 1, parameters]`` with its own start first; the target starts at ``start`` in every
    parameter. Raises ValueError for m outside [0, 1).
    """
    if not 0 <= m < 1:
        raise ValueError(f"momentum {m}; allowed are 0 up to, but not including, 1")
    target = np.full(online.shape[1], start)
    path = np.empty_like(online[1:])
    for step, now in enumerate(online[1:]):
        target = m * target + (1 - m) * now
        path[step] = target
    return path


def lag(online: Floats, target: Floats) -> Floats:
    """L2 distance of target and online encoder after each step: ``[steps + 1, P]``, ``[steps, P]`` -> ``[steps]``."""
    return np.linalg.norm(target - online[1:], axis=1)


def staleness(online: Floats, target: Floats) -> NDArray[np.int64]:
    """How many steps ago the online encoder was closest (L2) to the present target: ``[steps]``, the latest of equals.

    ``online`` ``[steps + 1, P]``, its start first, which counts as a past encoder; ``target`` ``[steps, P]``.
    """
    lengths = np.einsum("sp,sp->s", online, online)
    part = max(1, PART // len(online))
    found = []
    for start in range(0, len(target), part):
        some = target[start : start + part]
        past = len(some) + start + 1  # online encoders up to the last step of this part, and their start
        # |t - o|^2 without |t|^2, which is the same for every past encoder.
        squared = lengths[:past] - 2 * some @ online[:past].T
        now = np.arange(start + 1, past)
        squared[np.arange(past) > now[:, None]] = np.inf
        found.append(now - (past - 1 - squared[:, ::-1].argmin(axis=1)))
    return np.concatenate(found)


def variance_over_time(target: Floats, window: int) -> Floats:
    """Variance (ddof 0) of each parameter over the last ``window`` steps, or all there are, averaged: ``[steps]``."""
    centred = target - target.mean(axis=0)  # sums of squares lose digits where the mean is large
    sums = np.concatenate([np.zeros((1, target.shape[1])), centred.cumsum(axis=0)])
    squares = np.concatenate([np.zeros((1, target.shape[1])), (centred**2).cumsum(axis=0)])
    last = np.arange(1, len(target) + 1)
    first = np.maximum(0, last - window)
    count = (last - first)[:, None]
    mean = (sums[last] - sums[first]) / count
    return np.maximum(0, (squares[last] - squares[first]) / count - mean**2).mean(axis=1)


class MomentumDynamics:
    def __init__(self, params: MomentumParams) -> None:
        if params.steps * params.parameters > MOST_VALUES:
            raise UserError(
                f"steps = {params.steps} and parameters = {params.parameters}: their product is at most {MOST_VALUES:,}"
            )
        self.params = params

    def run(self, seed: int) -> SimulationResult:
        measured = {one: self.paths(one) for one in range(seed, seed + self.params.claim_seeds)}
        paths = measured[seed]
        balance = [row for start in STARTS for row in trade_off(paths, start)]
        return SimulationResult(
            {
                "comparison": [compared(*key, path) for key, path in paths.items()],
                "trade_off": balance,
                "steps": steps(paths),
            },
            claims(measured, self.params.m),
            {"dynamics": lambda: draw(paths)},
            advice(balance),
        )

    def paths(self, seed: int) -> dict[tuple[str, float], dict[str, Floats]]:
        """(start, m) -> what is measured after each step, ``[steps]`` each."""
        p = self.params
        online = online_path(seed, p.steps, p.parameters, p.noise)
        found = {}
        for start, value in STARTS.items():
            for m in p.m:
                target = moving_average(online, m, value)
                found[start, m] = {
                    "l2_distance": lag(online, target),
                    "staleness_steps": staleness(online, target),
                    "variance_over_time": variance_over_time(target, p.window),
                    "variance_of_parameters": target.var(axis=1),
                }
        return found


Paths = dict[tuple[str, float], dict[str, Floats]]


def compared(start: str, m: float, path: dict[str, Floats]) -> dict[str, Any]:
    """Mean over the steps and value after the last one, of each quantity."""
    row: dict[str, Any] = {"start": start, "momentum": m}
    for name in QUANTITIES:
        row |= {f"mean_{name}": float(path[name].mean()), f"final_{name}": path[name][-1].item()}
    return row


def steps(paths: Paths) -> list[dict[str, Any]]:
    return [
        {"start": start, "momentum": m, "step": step + 1, **{name: path[name][step].item() for name in QUANTITIES}}
        for (start, m), path in paths.items()
        for step in range(len(path["l2_distance"]))
    ]


def lag_and_variance(paths: Paths, start: str, measure: str) -> tuple[list[float], Floats, Floats]:
    """Momenta ascending, their mean lag, and the variance over time at the end."""
    momenta = sorted(m for begun, m in paths if begun == start)
    lags = np.array([paths[start, m][measure].mean() for m in momenta])
    return momenta, lags, np.array([paths[start, m]["variance_over_time"][-1] for m in momenta])


def trade_off(paths: Paths, start: str) -> list[dict[str, Any]]:
    rows = []
    for measure, words in LAGS.items():
        momenta, lags, variances = lag_and_variance(paths, start, measure)
        for name, (values, reason) in scores(lags, variances).items():
            row = {"start": start, "lag": words, "score": name}
            row["winner"] = " and ".join(f"{momenta[place]:g}" for place in winners(values)) or None
            row |= {f"value_at_{m:g}": value for m, value in zip(momenta, values, strict=True)}
            rows.append({**row, "reason": reason})
    return rows


def claims(measured: dict[int, Paths], given: tuple[float, ...]) -> list[Claim]:
    momenta = sorted(set(given))
    found = []
    for start in STARTS:
        begun = f"target starts {'at 1' if start == 'as written' else 'as a copy'}"
        found += [
            rising(measured, momenta, start, begun, "variance_over_time"),
            *(rising(measured, momenta, start, begun, name) for name in LAGS),
        ]
        if REASONABLE in momenta and len(momenta) > 2:
            found += [reasonable(measured, start, begun, score) for score in SCORES]
    return found


def rising(measured: dict[int, Paths], momenta: list[float], start: str, begun: str, name: str) -> Claim:
    """Whether variance falls, or lag rises, with every step up in momentum."""
    stable = name == "variance_over_time"

    def value(paths: Paths, m: float) -> float:
        path = paths[start, m][name]
        return float(path[-1] if stable else path.mean())

    def ordered(paths: Paths) -> bool | None:
        change = np.diff([value(paths, m) for m in momenta])
        return None if not len(change) else bool((change < 0).all() if stable else (change > 0).all())

    seen = (f"m {m:g}: {across_seeds([value(paths, m) for paths in measured.values()])}" for m in momenta)
    return check_claim(
        f"higher momentum is more stable ({begun})"
        if stable
        else f"higher momentum is more stale ({LAGS[name]}, {begun})",
        SOURCE,
        "the variance over the last steps falls with every higher m"
        if stable
        else f"the mean {LAGS[name]} rises with every higher m",
        {seed: ordered(paths) for seed, paths in measured.items()},
        "; ".join(seen),
    )


def reasonable(measured: dict[int, Paths], start: str, begun: str, score: str) -> Claim:
    won: dict[int, list[float]] = {}
    for seed, paths in measured.items():
        momenta, lags, variances = lag_and_variance(paths, start, "l2_distance")
        won[seed] = [momenta[place] for place in winners(scores(lags, variances)[score][0])]
    names = [" and ".join(f"{m:g}" for m in one) or "nobody" for one in won.values()]
    counted = ", ".join(f"{name} on {names.count(name)}" for name in sorted(set(names), key=names.count, reverse=True))
    return check_claim(
        f"m = {REASONABLE} is a reasonable trade-off ({score} of lag and variance, {begun})",
        SOURCE,
        f"the best {score} is at m = {REASONABLE} alone",
        {seed: one == [REASONABLE] if one else None for seed, one in won.items()},
        f"the winner is {counted}",
    )


def advice(balance: list[dict[str, Any]]) -> str:
    copied = [row["winner"] for row in balance if row["start"] == "copied" and row["winner"]]
    if not copied:
        return "One momentum alone says nothing about a trade-off; give several."
    counted = "; ".join(
        f"{name} in {copied.count(name)}" for name in sorted(set(copied), key=copied.count, reverse=True)
    )
    return (
        "Start the target as a copy, and take no single score for the best momentum: of the"
        f" {len(copied)} balances of lag and variance that have a winner, it is {counted}."
    )


def draw(paths: Paths) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    grid = figure.subplots(len(STARTS), 3, sharex=True)
    labels = ("L2 distance", "staleness, steps", "variance over time")
    for row, start in zip(grid, STARTS, strict=True):
        for axes, name, label in zip(row, QUANTITIES, labels, strict=False):
            # Drawn differently, since lines of two momenta may lie on each other.
            for style, m in zip(cycle(STYLES), [m for begun, m in paths if begun == start], strict=False):
                values = paths[start, m][name]
                axes.plot(np.arange(1, len(values) + 1), values, style, label=f"m = {m:g}", linewidth=1.3)
            axes.set(title=f"{label} ({start})", xlabel="step")
        row[2].set_yscale("symlog", linthresh=1e-8)
    grid[0][0].legend(fontsize="small")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="momentum-dynamics",
            summary=__doc__.partition("\n")[0],
            params=MomentumParams,
            build=lambda params, context: MomentumDynamics(params),
            citation=SOURCE,
        )
    ]
