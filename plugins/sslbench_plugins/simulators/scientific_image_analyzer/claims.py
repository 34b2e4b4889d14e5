"""The claims: what z-scoring does to channels and correlations, and what normalisation does to NDVI."""

from __future__ import annotations

from collections.abc import Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.seed_results import SeedResults
from sslbench_plugins.simulators.scientific_image_analyzer.tables import Measured
from sslbench_plugins.simulators.scientific_image_analyzer.vegetation_index import VEGETATION

SOURCE = "tutorial on self-supervised learning, exercise on scientific images"
NORMALISED = (("clipped", "clipped to percentiles"), ("z-scored", "z-scored"))
ROUNDING = 1e-9
SURVIVES = 0.05
"""difference of the vegetation share, and of the mean NDVI, that still counts as surviving"""
RANK = 0.99
"""rank correlation from which on the order of the pixels counts as surviving"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    return [
        standard_claim(seeds),
        correlation_claim(seeds),
        vegetation_claim(seeds),
        dominance_claim(seeds),
        *(survival_claim(seeds, *normalised) for normalised in NORMALISED),
        *(order_claim(seeds, *normalised) for normalised in NORMALISED),
    ]


def largest_deviation(tables: Measured) -> float | None:
    """How far any z-scored channel is from mean 0 and standard deviation 1; None where one has no z-scores."""
    deviations = []
    for row in tables.channels:
        if row.z_scored_mean is None or row.z_scored_standard_deviation is None:
            return None
        deviations += [abs(row.z_scored_mean), abs(row.z_scored_standard_deviation - 1)]
    return max(deviations)


def largest_change(tables: Measured) -> float | None:
    """How far z-scoring moves any correlation; None where one is undefined."""
    changes = []
    for row in tables.correlations:
        if row.raw is None or row.z_scored is None:
            return None
        changes.append(abs(row.z_scored - row.raw))
    return max(changes)


def at_most(value: float | None, limit: float) -> bool | None:
    """None for None."""
    return None if value is None else value <= limit


def standard_claim(seeds: SeedResults[Measured]) -> Claim:
    """Mean 0 and standard deviation 1."""
    return seeds.claim(
        "after z-scoring every channel has mean 0 and standard deviation 1",
        f"both to within {ROUNDING:g} in every channel",
        lambda tables: at_most(largest_deviation(tables), ROUNDING),
        f"largest deviation {seeds.spread(largest_deviation)}",
    )


def correlation_claim(seeds: SeedResults[Measured]) -> Claim:
    """Correlations stay."""
    return seeds.claim(
        "z-scoring leaves the correlations exactly as they were",
        f"no correlation changes by more than {ROUNDING:g}",
        lambda tables: at_most(largest_change(tables), ROUNDING),
        f"largest change {seeds.spread(largest_change)}",
    )


def above_half(tables: Measured, version: str) -> bool | None:
    """Whether most pixels count as vegetation; None where NDVI is undefined."""
    share = tables.index(version).vegetation_share
    return None if share is None else share > 0.5


def share(seeds: SeedResults[Measured], version: str) -> str:
    """Vegetation share of one version, over the seeds."""
    return seeds.spread(lambda tables: tables.index(version).vegetation_share)


def vegetation_claim(seeds: SeedResults[Measured]) -> Claim:
    """Most raw pixels count as vegetation."""
    return seeds.claim(
        "most raw pixels have an NDVI above 0.3",
        "more than half of the pixels",
        lambda tables: above_half(tables, "raw"),
        f"share above {VEGETATION:g}: {share(seeds, 'raw')}",
    )


def dominance_claim(seeds: SeedResults[Measured]) -> Claim:
    """They do because NIR dominates: not once both channels have the same range."""

    def no_longer(tables: Measured) -> bool | None:
        raw, scaled = above_half(tables, "raw"), above_half(tables, "clipped")
        if not raw:
            return raw
        return None if scaled is None else not scaled

    return seeds.claim(
        "most raw pixels have an NDVI above 0.3 because NIR dominates",
        "more than half of the raw pixels, and no longer when both channels have the same range",
        no_longer,
        f"share above {VEGETATION:g}: raw {share(seeds, 'raw')},"
        f" both channels scaled to 0..1 {share(seeds, 'clipped')}",
    )


def survival_claim(seeds: SeedResults[Measured], version: str, words: str) -> Claim:
    """Mean NDVI and vegetation share stay."""

    def survives(tables: Measured) -> bool | None:
        raw, index = tables.index("raw"), tables.index(version)
        pairs = [(raw.vegetation_share, index.vegetation_share), (raw.mean, index.mean)]
        changes = [abs(before - after) for before, after in pairs if before is not None and after is not None]
        return max(changes) <= SURVIVES if len(changes) == len(pairs) else None

    def mean(name: str) -> str:
        return seeds.spread(lambda tables: tables.index(name).mean)

    return seeds.claim(
        f"NDVI survives normalisation ({words})",
        f"mean NDVI and share above {VEGETATION:g} change by at most {SURVIVES:g}",
        survives,
        f"mean {mean('raw')} -> {mean(version)}; vegetation share {share(seeds, 'raw')} -> {share(seeds, version)}",
    )


def order_claim(seeds: SeedResults[Measured], version: str, words: str) -> Claim:
    """The order of the pixels stays."""

    def rank(tables: Measured) -> float | None:
        return tables.index(version).rank_correlation_with_raw

    def survives(tables: Measured) -> bool | None:
        value = rank(tables)
        return None if value is None else value >= RANK

    return seeds.claim(
        f"NDVI survives normalisation (order of the pixels, {words})",
        f"rank correlation with the raw NDVI of at least {RANK:g}",
        survives,
        f"rank correlation {seeds.spread(rank)}",
    )
