"""The claims: which of random, block and grid masks cover evenly, and which are hard to reconstruct."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.seed_results import SeedResults
from sslbench_plugins.simulators.masking_comparator.tables import StrategyRow

SOURCE = "tutorial on self-supervised learning, exercise on masking strategies"
STRATEGIES = ("random", "block", "grid")
RATIO = 0.75
Rows = Mapping[str, StrategyRow]
"""strategy -> its row at ``RATIO``"""
Measure = Callable[[StrategyRow], float | None]


def uniformity(row: StrategyRow) -> float | None:
    """Deviation of the quadrants' visible counts; lower is more even."""
    return row.coverage_uniformity


def difficulty(row: StrategyRow) -> float | None:
    """Mean distance from a masked patch to the nearest visible one."""
    return row.reconstruction_difficulty


def of_measure(measure: Measure, test: Callable[[dict[str, float]], bool]) -> Callable[[Rows], bool | None]:
    """The test of one measure by strategy; None where it is undefined for one of the three."""

    def outcome(rows: Rows) -> bool | None:
        known = {name: value for name in STRATEGIES if (value := measure(rows[name])) is not None}
        return test(known) if len(known) == len(STRATEGIES) else None

    return outcome


def alone(name: str, best: Callable[..., float]) -> Callable[[dict[str, float]], bool]:
    """Whether one strategy, and no other, has the ``best`` value."""
    return lambda values: [n for n, value in values.items() if value == best(values.values())] == [name]


def both(first: Callable[[Rows], bool | None], second: Callable[[Rows], bool | None]) -> Callable[[Rows], bool | None]:
    """Whether both are true; None where one of them is undefined."""

    def outcome(rows: Rows) -> bool | None:
        results = (first(rows), second(rows))
        return None if None in results else all(results)

    return outcome


def claims(measured: Mapping[int, Rows]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)

    def of_one(name: str, measure: Measure) -> str:
        return f"{name} {seeds.spread(lambda rows: measure(rows[name]))}"

    def of_all(measure: Measure) -> str:
        return "; ".join(of_one(name, measure) for name in STRATEGIES)

    at = f"at a ratio of {RATIO:g}"
    even = "deviation of the quadrants' visible counts"
    return [
        seeds.claim(
            f"random masking gives the most uniform coverage {at}",
            f"it has the lowest {even} of the three",
            of_measure(uniformity, alone("random", min)),
            of_all(uniformity),
        ),
        seeds.claim(
            f"grid masking has zero coverage variance {at}",
            f"the {even} is 0 in every mask",
            of_measure(uniformity, lambda values: values["grid"] == 0),
            of_one("grid", uniformity),
        ),
        seeds.claim(
            f"grid masking has low reconstruction difficulty {at}",
            "the lowest mean distance from a masked patch to the nearest visible one of the three",
            of_measure(difficulty, alone("grid", min)),
            of_all(difficulty),
        ),
        seeds.claim(
            f"block masking has the highest difficulty and the poorest uniformity {at}",
            "of the three it has the highest of both measures",
            both(of_measure(difficulty, alone("block", max)), of_measure(uniformity, alone("block", max))),
            f"difficulty: {of_all(difficulty)}; uniformity: {of_all(uniformity)}",
        ),
    ]
