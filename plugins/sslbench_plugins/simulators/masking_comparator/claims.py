"""The claims: which of random, block and grid masks cover evenly, and which are hard to reconstruct."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import Row, SeedResults

SOURCE = "tutorial on self-supervised learning, exercise on masking strategies"
STRATEGIES = ("random", "block", "grid")
RATIO = 0.75
Rows = Mapping[str, Row]
"""strategy -> its row at ``RATIO``"""
Test = Callable[[dict[str, float]], bool]
"""of one measure by strategy"""
UNIFORMITY, DIFFICULTY = "coverage_uniformity", "reconstruction_difficulty"


def all_true(tests: Mapping[str, Test]) -> Callable[[Rows], bool | None]:
    """Whether the test of each measure is true; None where a measure is undefined for one of the three."""

    def outcome(rows: Rows) -> bool | None:
        if None in [rows[name][measure] for measure in tests for name in STRATEGIES]:
            return None
        return all(test({name: rows[name][measure] for name in STRATEGIES}) for measure, test in tests.items())

    return outcome


def alone(name: str, best: Callable[..., float]) -> Test:
    """Whether one strategy, and no other, has the ``best`` value."""
    return lambda values: [n for n, value in values.items() if value == best(values.values())] == [name]


def claims(measured: Mapping[int, Rows]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)

    def of_one(name: str, measure: str) -> str:
        return f"{name} {seeds.spread(lambda rows: rows[name][measure])}"

    def of_all(measure: str) -> str:
        return "; ".join(of_one(name, measure) for name in STRATEGIES)

    at = f"at a ratio of {RATIO:g}"
    even = "deviation of the quadrants' visible counts"
    return [
        seeds.claim(
            f"random masking gives the most uniform coverage {at}",
            f"it has the lowest {even} of the three",
            all_true({UNIFORMITY: alone("random", min)}),
            of_all(UNIFORMITY),
        ),
        seeds.claim(
            f"grid masking has zero coverage variance {at}",
            f"the {even} is 0 in every mask",
            all_true({UNIFORMITY: lambda values: values["grid"] == 0}),
            of_one("grid", UNIFORMITY),
        ),
        seeds.claim(
            f"grid masking has low reconstruction difficulty {at}",
            "the lowest mean distance from a masked patch to the nearest visible one of the three",
            all_true({DIFFICULTY: alone("grid", min)}),
            of_all(DIFFICULTY),
        ),
        seeds.claim(
            f"block masking has the highest difficulty and the poorest uniformity {at}",
            "of the three it has the highest of both measures",
            all_true({DIFFICULTY: alone("block", max), UNIFORMITY: alone("block", max)}),
            f"difficulty: {of_all(DIFFICULTY)}; uniformity: {of_all(UNIFORMITY)}",
        ),
    ]
