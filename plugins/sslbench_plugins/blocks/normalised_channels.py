"""Channels of different units brought to one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float64]


def z_scored(channels: Channels) -> Channels:
    """Each of ``[C, H, W]`` minus its mean, over its standard deviation; a constant channel becomes 0."""
    mean, deviation = channels.mean(axis=(1, 2), keepdims=True), channels.std(axis=(1, 2), keepdims=True)
    varies = channels.min(axis=(1, 2), keepdims=True) < channels.max(axis=(1, 2), keepdims=True)
    return np.divide(channels - mean, deviation, out=np.zeros_like(channels), where=varies & (deviation > 0))


def percentile_clipped(channels: Channels, low: float = 2, high: float = 98) -> Channels:
    """Each of ``[C, H, W]`` clipped to its percentiles and scaled to 0..1; 0 where the two are equal."""
    bottom, top = np.percentile(channels, [low, high], axis=(1, 2), keepdims=True)
    scaled = np.divide(channels - bottom, top - bottom, out=np.zeros_like(channels), where=top > bottom)
    return scaled.clip(0, 1)
