"""NDVI, the normalised difference of near infrared and red, and how much of it counts as vegetation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslbench_plugins.blocks.studies.correlation import pearson

Channels = NDArray[np.float64]
VEGETATION = 0.3
"""NDVI above which a pixel counts as vegetation"""


def ndvi(near_infrared: Channels, red: Channels) -> Channels:
    """(NIR - Red) / (NIR + Red + 1e-8), element by element; -1..1 where neither is negative.

    NaN where the denominator is exactly 0. Raises ValueError where the shapes differ.
    """
    if near_infrared.shape != red.shape:
        raise ValueError(f"NDVI of shapes {near_infrared.shape} and {red.shape}; they must be equal")
    below = near_infrared + red + 1e-8
    return np.divide(near_infrared - red, below, out=np.full_like(below, np.nan), where=below != 0)


def vegetation_share(index: Channels, threshold: float = VEGETATION) -> float | None:
    """Share of pixels whose NDVI is above ``threshold``, of those where it is defined; None where it is nowhere."""
    known = index[np.isfinite(index)]
    return float((known > threshold).mean()) if known.size else None


def index_row(version: str, index: Channels, raw: Channels) -> dict[str, Any]:
    """NDVI of one version, and its rank correlation with the raw one's. What is undefined is None, with a reason."""
    from scipy.stats import rankdata

    both = np.isfinite(index) & np.isfinite(raw)
    known = index[np.isfinite(index)]
    ranks = pearson(rankdata(index[both]), rankdata(raw[both])) if both.any() else None
    reasons = [
        *([] if known.size else ["no pixel has a defined NDVI: a channel has no scale, or both add up to 0"]),
        *(["all pixels have the same NDVI: there is no order to compare"] if ranks is None and both.any() else []),
    ]
    return {
        "version": version,
        "mean": float(known.mean()) if known.size else None,
        "standard_deviation": float(known.std()) if known.size else None,
        "minimum": float(known.min()) if known.size else None,
        "maximum": float(known.max()) if known.size else None,
        "vegetation_share": vegetation_share(index),
        "rank_correlation_with_raw": ranks,
        "reason": "; ".join(reasons),
    }
