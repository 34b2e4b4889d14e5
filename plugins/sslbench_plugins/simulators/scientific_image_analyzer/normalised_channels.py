"""Channels of different units brought to one scale. What has no scale is NaN: 0 would look like a measured value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float64]


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
    scaled: Channels = np.divide(
        channels - bottom, top - bottom, out=np.full_like(channels, np.nan), where=top > bottom
    )
    return scaled.clip(0, 1)
