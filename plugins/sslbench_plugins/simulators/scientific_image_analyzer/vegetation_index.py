"""NDVI, the normalised difference of near infrared and red, and how much of it counts as vegetation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.simulators.scientific_image_analyzer.channels import Channels

VEGETATION = 0.3
"""NDVI above which a pixel counts as vegetation"""


@dataclass(frozen=True)
class IndexRow:
    """NDVI of one version of the channels. What is undefined is None, and ``reason`` says why."""

    version: str
    mean: float | None
    standard_deviation: float | None
    minimum: float | None
    maximum: float | None
    vegetation_share: float | None
    rank_correlation_with_raw: float | None
    reason: str


def ndvi(near_infrared: Channels, red: Channels) -> Channels:
    """(NIR - Red) / (NIR + Red + 1e-8), element by element; -1..1 where neither is negative.

    NaN where the denominator is exactly 0. Raises ValueError where the shapes differ.
    """
    if near_infrared.shape != red.shape:
        raise ValueError(f"NDVI of shapes {near_infrared.shape} and {red.shape}; they must be equal")
    denominator = near_infrared + red + 1e-8
    undefined = np.full_like(denominator, np.nan)
    return np.divide(near_infrared - red, denominator, out=undefined, where=denominator != 0)


def vegetation_share(index: Channels, threshold: float = VEGETATION) -> float | None:
    """Share of pixels whose NDVI is above ``threshold``, of those where it is defined; None where it is nowhere."""
    known = index[np.isfinite(index)]
    return float((known > threshold).mean()) if known.size else None


def rank_correlation(index: Channels, raw: Channels) -> float | None:
    """Spearman's correlation where both are defined, -1..1; None where that is nowhere, or one is constant there."""
    from scipy.stats import rankdata

    both = np.isfinite(index) & np.isfinite(raw)
    return pearson(rankdata(index[both]), rankdata(raw[both])) if both.any() else None


def index_row(version: str, index: Channels, raw: Channels) -> IndexRow:
    """NDVI of one version, and its rank correlation with that of the raw channels."""
    known, ranks = index[np.isfinite(index)], rank_correlation(index, raw)
    if not known.size:
        reason = "no pixel has a defined NDVI: a channel has no scale, or both add up to 0"
        return IndexRow(version, None, None, None, None, None, None, reason)
    same = ranks is None and bool((np.isfinite(index) & np.isfinite(raw)).any())
    return IndexRow(
        version,
        float(known.mean()),
        float(known.std()),
        float(known.min()),
        float(known.max()),
        vegetation_share(index),
        ranks,
        "all pixels have the same NDVI: there is no order to compare" if same else "",
    )
