"""The claims: what z-scoring does to channels and correlations, and what normalisation does to NDVI."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import SeedResults
from sslbench_plugins.simulators.scientific_image_analyzer.tables import VEGETATION, Measured

SOURCE = "tutorial on self-supervised learning, exercise on scientific images"
NORMALISED = (("clipped", "clipped to percentiles"), ("z-scored", "z-scored"))
ROUNDING, SURVIVES, RANK = 1e-9, 0.05, 0.99
"""difference that is rounding; of vegetation share and mean NDVI, and rank correlation, that count as surviving"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    return [
        *scaling_claims(seeds),
        *vegetation_claims(seeds),
        *(survival_claim(seeds, *normalised) for normalised in NORMALISED),
        *(order_claim(seeds, *normalised) for normalised in NORMALISED),
    ]


def largest_deviation(tables: Measured) -> float | None:
    """How far any z-scored channel is from mean 0 and standard deviation 1; None where one has no z-scores."""
    if any(row["z_scored_mean"] is None for row in tables.channels):
        return None
    deviations = ((abs(r["z_scored_mean"]), abs(r["z_scored_standard_deviation"] - 1)) for r in tables.channels)
    return float(max(max(pair) for pair in deviations))


def largest_change(tables: Measured) -> float | None:
    """How far z-scoring moves any correlation; None where one is undefined."""
    if any(None in (row["raw"], row["z_scored"]) for row in tables.correlations):
        return None
    return float(max(abs(row["z_scored"] - row["raw"]) for row in tables.correlations))


def scaling_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """z-scoring gives mean 0 and standard deviation 1, and leaves correlations."""

    def rounding_alone(value: Callable[[Measured], float | None]) -> Callable[[Measured], bool | None]:
        return lambda tables: None if (size := value(tables)) is None else size <= ROUNDING

    return [
        seeds.claim(
            "after z-scoring every channel has mean 0 and standard deviation 1",
            f"both to within {ROUNDING:g} in every channel",
            rounding_alone(largest_deviation),
            f"largest deviation {seeds.spread(largest_deviation)}",
        ),
        seeds.claim(
            "z-scoring leaves the correlations exactly as they were",
            f"no correlation changes by more than {ROUNDING:g}",
            rounding_alone(largest_change),
            f"largest change {seeds.spread(largest_change)}",
        ),
    ]


def spread(seeds: SeedResults[Measured], version: str, key: str) -> str:
    """One column of the NDVI of one version, over the seeds."""
    return seeds.spread(lambda tables: tables.ndvi[version][key])


def vegetation_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Most raw pixels count as vegetation; because NIR dominates: not once both channels have the same range."""
    statement = "most raw pixels have an NDVI above 0.3"
    raw, scaled = (spread(seeds, version, "vegetation_share") for version in ("raw", "clipped"))

    def above_half(tables: Measured, version: str) -> bool | None:
        share = tables.ndvi[version]["vegetation_share"]
        return None if share is None else bool(share > 0.5)

    def no_longer(tables: Measured) -> bool | None:
        before, after = above_half(tables, "raw"), above_half(tables, "clipped")
        if not before:
            return before
        return None if after is None else not after

    return [
        seeds.claim(
            statement,
            "more than half of the pixels",
            lambda tables: above_half(tables, "raw"),
            f"share above {VEGETATION:g}: {raw}",
        ),
        seeds.claim(
            f"{statement} because NIR dominates",
            "more than half of the raw pixels, and no longer when both channels have the same range",
            no_longer,
            f"share above {VEGETATION:g}: raw {raw}, both channels scaled to 0..1 {scaled}",
        ),
    ]


def survival_claim(seeds: SeedResults[Measured], version: str, words: str) -> Claim:
    """Mean NDVI and vegetation share stay."""
    columns = {"mean": "mean", "vegetation_share": "vegetation share"}

    def survives(tables: Measured) -> bool | None:
        pairs = [(tables.ndvi["raw"][key], tables.ndvi[version][key]) for key in columns]
        if any(None in pair for pair in pairs):
            return None
        return all(abs(before - after) <= SURVIVES for before, after in pairs)

    return seeds.claim(
        f"NDVI survives normalisation ({words})",
        f"mean NDVI and share above {VEGETATION:g} change by at most {SURVIVES:g}",
        survives,
        "; ".join(
            f"{name} {spread(seeds, 'raw', key)} -> {spread(seeds, version, key)}" for key, name in columns.items()
        ),
    )


def order_claim(seeds: SeedResults[Measured], version: str, words: str) -> Claim:
    """The order of the pixels stays."""
    key = "rank_correlation_with_raw"

    def survives(tables: Measured) -> bool | None:
        rank = tables.ndvi[version][key]
        return None if rank is None else bool(rank >= RANK)

    return seeds.claim(
        f"NDVI survives normalisation (order of the pixels, {words})",
        f"rank correlation with the raw NDVI of at least {RANK:g}",
        survives,
        f"rank correlation {spread(seeds, version, key)}",
    )
