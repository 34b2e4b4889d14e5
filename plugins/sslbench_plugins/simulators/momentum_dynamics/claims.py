"""The claims: higher momentum is more stable and more stale, and 0.999 is a reasonable trade-off."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sslbench import Claim
from sslbench_plugins.blocks.studies.seed_results import SeedResults
from sslbench_plugins.simulators.momentum_dynamics.encoders import Trajectory
from sslbench_plugins.simulators.momentum_dynamics.tables import LAGS, STARTS, Trajectories, costs, names, tally
from sslbench_plugins.simulators.momentum_dynamics.trade_off import SCORES, scores, winners

SOURCE = "tutorial on self-supervised learning, exercise on momentum dynamics"
REASONABLE = 0.999
START_WORDS = {"as written": "target starts at 1", "copied": "target starts as a copy"}


def claims(measured: Mapping[int, Trajectories], given: tuple[float, ...]) -> list[Claim]:
    """All claims for the ``given`` momenta; the trade-off only where 0.999 is one of three or more."""
    momenta = sorted(set(given))
    seeds = SeedResults(SOURCE, measured)
    results = []
    for start in STARTS:
        results.append(stability_claim(seeds, momenta, start))
        results += [staleness_claim(seeds, momenta, start, lag) for lag in LAGS]
        if REASONABLE in momenta and len(momenta) > 2:
            results += [trade_off_claim(seeds, start, score) for score in SCORES]
    return results


def by_momentum(
    seeds: SeedResults[Trajectories], momenta: list[float], start: str, value: Callable[[Trajectory], float]
) -> str:
    """A value at each momentum, over the seeds."""

    def at(m: float) -> str:
        return f"m {m:g}: {seeds.spread(lambda paths: value(paths[start, m]))}"

    return "; ".join(at(m) for m in momenta)


def stability_claim(seeds: SeedResults[Trajectories], momenta: list[float], start: str) -> Claim:
    """Variance falls with every step up in momentum."""

    def final_variance(path: Trajectory) -> float:
        return float(path.variance_over_time[-1])

    def falls(paths: Trajectories) -> bool | None:
        change = np.diff([final_variance(paths[start, m]) for m in momenta])
        return bool((change < 0).all()) if len(change) else None

    return seeds.claim(
        f"higher momentum is more stable ({START_WORDS[start]})",
        "the variance over the last steps falls with every higher m",
        falls,
        by_momentum(seeds, momenta, start, final_variance),
    )


def staleness_claim(seeds: SeedResults[Trajectories], momenta: list[float], start: str, lag: str) -> Claim:
    """Lag rises with every step up in momentum."""

    def rises(paths: Trajectories) -> bool | None:
        change = np.diff([LAGS[lag](paths[start, m]) for m in momenta])
        return bool((change > 0).all()) if len(change) else None

    return seeds.claim(
        f"higher momentum is more stale ({lag}, {START_WORDS[start]})",
        f"the mean {lag} rises with every higher m",
        rises,
        by_momentum(seeds, momenta, start, LAGS[lag]),
    )


def trade_off_claim(seeds: SeedResults[Trajectories], start: str, score: str) -> Claim:
    """One score of L2 lag and variance is best at 0.999 alone."""

    def best(paths: Trajectories) -> list[float]:
        cost = costs(paths, start, "L2 distance")
        return [cost.momenta[index] for index in winners(scores(cost.lags, cost.variances)[score].values)]

    won = SeedResults(SOURCE, {seed: best(paths) for seed, paths in seeds.results.items()})
    counted = tally((names(momenta) or "nobody" for momenta in won.results.values()), "on", ", ")
    return won.claim(
        f"m = {REASONABLE} is a reasonable trade-off ({score} of lag and variance, {START_WORDS[start]})",
        f"the best {score} is at m = {REASONABLE} alone",
        lambda momenta: momenta == [REASONABLE] if momenta else None,
        f"the winner is {counted}",
    )
