"""The claims: what the default misses, what weighing and resampling cost, and where 90% sensitivity is reached."""

from __future__ import annotations

from collections.abc import Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import Row, SeedResults
from sslbench_plugins.simulators.imbalance_comparator.tables import READINGS, WANTED, Measured

SOURCE = "tutorial on self-supervised learning, exercise on class imbalance"
DEFAULT = "as is"
HIGH, POOR, SIMILAR = 0.95, 0.5, 0.02
"""specificity that is called high, sensitivity that is called poor, AUCs that are called similar"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    return [
        *default_claims(seeds),
        raises_sensitivity(seeds, "weighing the classes", "balanced"),
        raises_sensitivity(seeds, "oversampling", "oversampled"),
        seeds.claim(
            "the AUC is similar across the three",
            f"highest minus lowest of at most {SIMILAR}",
            lambda tables: tables.spread_of_areas <= SIMILAR,
            f"highest minus lowest {seeds.spread(lambda tables: tables.spread_of_areas)}",
        ),
        *(reaches_wanted(seeds, reading) for reading in READINGS),
    ]


def at_half(seeds: SeedResults[Measured], strategy: str, key: str) -> str:
    """``sensitivity`` or ``specificity`` at the threshold 0.5, over the seeds."""
    return seeds.spread(lambda tables: tables.strategies[strategy][key])


def default_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """High specificity and poor sensitivity: each in itself, and against each other."""
    statement = "the default has high specificity and poor sensitivity"
    shares = ", ".join(f"{key} {at_half(seeds, DEFAULT, key)}" for key in ("specificity", "sensitivity"))

    def high_and_below(row: Row, limit: float) -> bool:
        return bool(row["specificity"] >= HIGH and row["sensitivity"] < limit)

    return [
        seeds.claim(
            f"{statement} (each in itself)",
            f"specificity of at least {HIGH} and sensitivity below {POOR} at the threshold 0.5",
            lambda tables: high_and_below(tables.strategies[DEFAULT], POOR),
            shares,
        ),
        seeds.claim(
            f"{statement} (against each other)",
            f"specificity of at least {HIGH} and a sensitivity more than 0.1 below it",
            lambda tables: high_and_below(row := tables.strategies[DEFAULT], row["specificity"] - 0.1),
            shares,
        ),
    ]


def raises_sensitivity(seeds: SeedResults[Measured], action: str, strategy: str) -> Claim:
    """A strategy raises sensitivity at the cost of specificity."""

    def rises_at_a_cost(tables: Measured) -> bool:
        before, after = tables.strategies[DEFAULT], tables.strategies[strategy]
        return bool(after["sensitivity"] > before["sensitivity"] and after["specificity"] < before["specificity"])

    return seeds.claim(
        f"{action} raises sensitivity at the cost of specificity",
        "at the threshold 0.5 the sensitivity is higher and the specificity lower than the default's",
        rises_at_a_cost,
        "; ".join(
            f"{key} {at_half(seeds, DEFAULT, key)} -> {at_half(seeds, strategy, key)}"
            for key in ("sensitivity", "specificity")
        ),
    )


def reaches_wanted(seeds: SeedResults[Measured], reading: str) -> Claim:
    """All strategies reach the sensitivity, at thresholds and specificities that differ."""
    strategies = (DEFAULT, "balanced", "oversampled")

    def different(tables: Measured) -> bool:
        points = [tables.points[name, reading] for name in strategies]
        distinct = all(len({point[key] for point in points}) == 3 for key in ("threshold", "specificity"))
        return distinct and all(point["sensitivity"] >= WANTED for point in points)

    def spread(name: str, key: str) -> str:
        return seeds.spread(lambda tables: tables.points[name, reading][key])

    return seeds.claim(
        f"all three reach 90% sensitivity, with different thresholds and different specificities ({READINGS[reading]})",
        "sensitivity of at least 0.9, three thresholds that differ and three specificities that differ",
        different,
        "; ".join(
            f"{name} threshold {spread(name, 'threshold')} and specificity {spread(name, 'specificity')}"
            for name in strategies
        ),
    )
