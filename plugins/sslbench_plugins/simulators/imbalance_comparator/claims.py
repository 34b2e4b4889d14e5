"""The claims: what the default misses, what weighing and resampling cost, and where 90% sensitivity is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.seed_results import SeedResults
from sslbench_plugins.simulators.imbalance_comparator.operating_point import READINGS, WANTED
from sslbench_plugins.simulators.imbalance_comparator.tables import Measured, StrategyRow

SOURCE = "tutorial on self-supervised learning, exercise on class imbalance"
DEFAULT = "as is"
STRATEGIES = (DEFAULT, "balanced", "oversampled")
HIGH, POOR, SIMILAR = 0.95, 0.5, 0.02
"""specificity that is called high, sensitivity that is called poor, AUCs that are called similar"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    return [
        *default_claims(seeds),
        raises_sensitivity(seeds, "weighing the classes", "balanced"),
        raises_sensitivity(seeds, "oversampling", "oversampled"),
        similar_areas(seeds),
        *(reaches_wanted(seeds, reading) for reading in READINGS),
    ]


def sensitivity(seeds: SeedResults[Measured], strategy: str) -> str:
    """At the threshold 0.5, over the seeds."""
    return seeds.spread(lambda tables: tables.strategy(strategy).sensitivity)


def specificity(seeds: SeedResults[Measured], strategy: str) -> str:
    """At the threshold 0.5, over the seeds."""
    return seeds.spread(lambda tables: tables.strategy(strategy).specificity)


def default_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """High specificity and poor sensitivity: each in itself, and against each other."""
    statement = "the default has high specificity and poor sensitivity"
    measured = f"specificity {specificity(seeds, DEFAULT)}, sensitivity {sensitivity(seeds, DEFAULT)}"

    def of_default(test: Callable[[StrategyRow], bool]) -> Callable[[Measured], bool]:
        return lambda tables: test(tables.strategy(DEFAULT))

    return [
        seeds.claim(
            f"{statement} (each in itself)",
            f"specificity of at least {HIGH} and sensitivity below {POOR} at the threshold 0.5",
            of_default(lambda row: row.specificity >= HIGH and row.sensitivity < POOR),
            measured,
        ),
        seeds.claim(
            f"{statement} (against each other)",
            f"specificity of at least {HIGH} and a sensitivity more than 0.1 below it",
            of_default(lambda row: row.specificity >= HIGH and row.sensitivity < row.specificity - 0.1),
            measured,
        ),
    ]


def raises_sensitivity(seeds: SeedResults[Measured], action: str, strategy: str) -> Claim:
    """A strategy raises sensitivity at the cost of specificity."""

    def rises_at_a_cost(tables: Measured) -> bool:
        before, after = tables.strategy(DEFAULT), tables.strategy(strategy)
        return after.sensitivity > before.sensitivity and after.specificity < before.specificity

    return seeds.claim(
        f"{action} raises sensitivity at the cost of specificity",
        "at the threshold 0.5 the sensitivity is higher and the specificity lower than the default's",
        rises_at_a_cost,
        f"sensitivity {sensitivity(seeds, DEFAULT)} -> {sensitivity(seeds, strategy)};"
        f" specificity {specificity(seeds, DEFAULT)} -> {specificity(seeds, strategy)}",
    )


def similar_areas(seeds: SeedResults[Measured]) -> Claim:
    """The AUC hardly depends on the strategy."""
    return seeds.claim(
        "the AUC is similar across the three",
        f"highest minus lowest of at most {SIMILAR}",
        lambda tables: tables.spread_of_areas <= SIMILAR,
        f"highest minus lowest {seeds.spread(lambda tables: tables.spread_of_areas)}",
    )


def reaches_wanted(seeds: SeedResults[Measured], reading: str) -> Claim:
    """All strategies reach the sensitivity, at thresholds and specificities that differ."""

    def different(tables: Measured) -> bool:
        points = [tables.point(name, reading) for name in STRATEGIES]
        thresholds, specificities = ({p.threshold for p in points}, {p.specificity for p in points})
        distinct = len(thresholds) == len(specificities) == len(points)
        return distinct and all(point.sensitivity >= WANTED for point in points)

    def of_strategy(name: str) -> str:
        threshold = seeds.spread(lambda tables: tables.point(name, reading).threshold)
        return f"{name} threshold {threshold} and specificity " + seeds.spread(
            lambda tables: tables.point(name, reading).specificity
        )

    return seeds.claim(
        f"all three reach 90% sensitivity, with different thresholds and different specificities ({READINGS[reading]})",
        "sensitivity of at least 0.9, three thresholds that differ and three specificities that differ",
        different,
        "; ".join(of_strategy(name) for name in STRATEGIES),
    )
