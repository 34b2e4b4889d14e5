"""The same channels on three scales, NDVI of each, the normalised difference of near infrared and red, and the tables.
What has no scale is NaN: 0 would look like a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.blocks.studies.results import Row
from sslbench_plugins.simulators.scientific_image_analyzer.channels import Channels, ChannelSource

VEGETATION = 0.3
"""NDVI above which a pixel counts as vegetation"""


def z_scored(channels: Channels) -> Channels:
    """Each of ``[C, H, W]`` minus its mean, over its standard deviation (ddof 0); NaN for a constant channel."""
    centred: Channels = channels - channels.mean(axis=(1, 2), keepdims=True)
    deviation: Channels = channels.std(axis=(1, 2), keepdims=True)
    # The values count too: the deviation of a constant channel need not be exactly 0.
    varies = channels.min(axis=(1, 2), keepdims=True) < channels.max(axis=(1, 2), keepdims=True)
    return np.divide(centred, deviation, out=np.full_like(channels, np.nan), where=varies & (deviation > 0))


def percentile_clipped(channels: Channels, low: float = 2, high: float = 98) -> Channels:
    """Each of ``[C, H, W]`` clipped to its percentiles (0..100) and scaled to 0..1; NaN where the two are equal."""
    bottom, top = np.percentile(channels, [low, high], axis=(1, 2), keepdims=True)
    undefined = np.full_like(channels, np.nan)
    return np.asarray(np.divide(channels - bottom, top - bottom, out=undefined, where=top > bottom).clip(0, 1))


def ndvi(near_infrared: Channels, red: Channels) -> Channels:
    """(NIR - Red) / (NIR + Red + 1e-8), element by element; -1..1 where neither is negative. NaN where the denominator
    is exactly 0. Raises ValueError where the shapes differ."""
    if near_infrared.shape != red.shape:
        raise ValueError(f"NDVI of shapes {near_infrared.shape} and {red.shape}; they must be equal")
    denominator = near_infrared + red + 1e-8
    undefined = np.full_like(denominator, np.nan)
    return np.divide(near_infrared - red, denominator, out=undefined, where=denominator != 0)


def vegetation_share(index: Channels, threshold: float = VEGETATION) -> float | None:
    """Share of pixels whose NDVI is above ``threshold``, of those where it is defined; None where it is nowhere."""
    known = index[np.isfinite(index)]
    return float((known > threshold).mean()) if known.size else None


@dataclass(frozen=True)
class Measured:
    """All tables of one seed, and the NDVI of each version, ``[H, W]``."""

    channels: list[Row]
    ndvi: dict[str, Row]
    """by version"""
    correlations: list[Row]
    indices: dict[str, Channels]


def measure(source: ChannelSource, seed: int, red: int, nir: int) -> Measured:
    """All tables; ``red`` and ``nir`` are the channels that NDVI is of."""
    names, raw = source.names, source.raw(seed)
    clipped, scored = percentile_clipped(raw), z_scored(raw)
    versions = {"raw": raw, "clipped": clipped, "z-scored": scored}
    indices = {version: ndvi(values[nir], values[red]) for version, values in versions.items()}
    channels = {name: [version[index] for version in (raw, scored, clipped)] for index, name in enumerate(names)}
    return Measured(
        [channel_row(name, unit, *channels[name]) for name, unit in zip(names, source.units, strict=True)],
        {version: index_row(version, index, indices["raw"]) for version, index in indices.items()},
        [correlation_row(*pair, *map(pearson, *(channels[name] for name in pair))) for pair in source.pairs],
        indices,
    )


def index_row(version: str, index: Channels, raw: Channels) -> Row:
    """NDVI of one version, and its Spearman correlation with that of the raw channels, where both are defined."""
    from scipy.stats import rankdata

    known, both = index[np.isfinite(index)], np.isfinite(index) & np.isfinite(raw)
    ranks = pearson(rankdata(index[both]), rankdata(raw[both])) if both.any() else None
    reason = "all pixels have the same NDVI: there is no order to compare" if ranks is None and both.any() else ""
    if not known.size:
        reason = "no pixel has a defined NDVI: a channel has no scale, or both add up to 0"
    statistics: dict[str, Any] = {"mean": np.mean, "standard_deviation": np.std, "minimum": np.min, "maximum": np.max}
    return {
        "version": version,
        **{key: float(function(known)) if known.size else None for key, function in statistics.items()},
        "vegetation_share": vegetation_share(index),
        "rank_correlation_with_raw": ranks,
        "reason": reason,
    }


def channel_row(name: str, unit: str, raw: Channels, scored: Channels, clipped: Channels) -> Row:
    """One channel ``[H, W]`` before and after; None where it cannot be scaled, and ``reason`` says why."""
    # A channel without a scale is NaN throughout.
    has_scores, has_clipped = bool(np.isfinite(scored[0, 0])), bool(np.isfinite(clipped[0, 0]))
    reasons = [
        "" if has_scores else "a spread this small cannot be divided by",
        "" if has_clipped else "the 2nd and the 98th percentile are equal: nothing to scale between them",
    ]
    return {
        "channel": name,
        "unit": unit,
        "raw_mean": float(raw.mean()),
        "raw_standard_deviation": float(raw.std()),
        "percentile_2": float(np.percentile(raw, 2)),
        "percentile_98": float(np.percentile(raw, 98)),
        "z_scored_mean": float(scored.mean()) if has_scores else None,
        "z_scored_standard_deviation": float(scored.std()) if has_scores else None,
        "clipped_mean": float(clipped.mean()) if has_clipped else None,
        "clipped_standard_deviation": float(clipped.std()) if has_clipped else None,
        "reason": "a constant channel cannot be scaled" if raw.min() == raw.max() else "; ".join(filter(None, reasons)),
    }


def correlation_row(first: str, second: str, raw: float | None, scored: float | None, clipped: float | None) -> Row:
    """Pearson's correlation of two channels, raw, z-scored and clipped; None where one of them is constant."""
    reason = "a channel that cannot be scaled has no correlation" if None in (scored, clipped) else ""
    reason = "a constant channel has no correlation" if raw is None else reason
    return {"first": first, "second": second, "raw": raw, "z_scored": scored, "clipped": clipped, "reason": reason}
