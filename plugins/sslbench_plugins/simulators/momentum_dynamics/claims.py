"""The claims: higher momentum is more stable and more stale, and 0.999 is a reasonable trade-off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import SeedResults
from sslbench_plugins.simulators.momentum_dynamics import tables
from sslbench_plugins.simulators.momentum_dynamics.tables import LAGS, SCORES, Trajectories

SOURCE = "tutorial on self-supervised learning, exercise on momentum dynamics"
REASONABLE = 0.999
START_WORDS = {"as written": "target starts at 1", "copied": "target starts as a copy"}


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
