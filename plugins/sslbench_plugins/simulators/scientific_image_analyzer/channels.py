"""The channels, eight drawn ones or a user's image, and the same channels on one scale.

What has no scale is NaN: 0 would look like a measured value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import UserError
from sslbench_plugins.simulators.scientific_image_analyzer.channel_files import read_channels

Channels = NDArray[np.float64]
CHANNELS = (
    ("Red", 20.0, 235.0, "counts"),
    ("Green", 20.0, 235.0, "counts"),
    ("Blue", 20.0, 235.0, "counts"),
    ("NIR-1", 500.0, 3000.0, "counts"),
    ("NIR-2", 500.0, 3000.0, "counts"),
    ("Thermal", 250.0, 320.0, "K"),
    ("Radar-1", -25.0, 5.0, "dB"),
    ("Radar-2", -25.0, 5.0, "dB"),
)
"""name, lowest and highest value, unit"""
PAIRS = (("Red", "Green"), ("Red", "NIR-1"), ("NIR-1", "NIR-2"), ("Thermal", "Radar-1"))
RED, NIR = 0, 3
"""indices of the two channels in ``CHANNELS``"""
MOST_PAIRS = 28
"""pairs of a user's image whose correlation is shown"""


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


@dataclass(frozen=True)
class Versions:
    """The same channels three times, float64 ``[C, H, W]`` each."""

    raw: Channels
    clipped: Channels
    """to percentiles, scaled to 0..1"""
    z_scored: Channels

    def named(self) -> dict[str, Channels]:
        """By the name that tables have."""
        return {"raw": self.raw, "clipped": self.clipped, "z-scored": self.z_scored}


@dataclass(frozen=True)
class ChannelSource:
    """What is known of the channels; ``image`` is None where they are drawn."""

    names: Sequence[str]
    units: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    """whose correlation is shown"""
    image: Channels | None

    def versions(self, seed: int) -> Versions:
        """Drawn from the seed, or of the user's image whatever the seed."""
        raw = drawn_channels(seed) if self.image is None else self.image
        return Versions(raw, percentile_clipped(raw), z_scored(raw))


def drawn_channels(seed: int) -> Channels:
    """Float ``[8, 128, 128]``, channel after channel uniform in its range of ``CHANNELS``."""
    rng = RandomState(seed)
    return np.stack([rng.uniform(low, high, (128, 128)) for _, low, high, _ in CHANNELS])


def drawn_source(names: Sequence[str], red: int, nir: int) -> ChannelSource:
    """The eight drawn channels. Raises UserError where parameters describe a user's image."""
    if names or (red, nir) != (RED, NIR):
        raise UserError("names, red and nir describe your own image; give it with image=PATH")
    return ChannelSource([c[0] for c in CHANNELS], [c[3] for c in CHANNELS], PAIRS, None)


def file_source(path: str, names: Sequence[str], red: int, nir: int) -> ChannelSource:
    """A user's image. Raises UserError for channels that it does not have and names that do not fit."""
    image = read_channels(path, "image")
    count = len(image)
    for key, index in (("red", red), ("nir", nir)):
        if index >= count:
            raise UserError(f"{key} = {index}: the image has {count} channels, 0 to {count - 1}")
    if names and (len(names) != count or len(set(names)) != count):
        raise UserError(f"names = {'+'.join(names)!r}: {count} different names are needed, one a channel")
    names = list(names) or [f"channel-{index}" for index in range(count)]
    return ChannelSource(names, [""] * count, list(combinations(names, 2))[:MOST_PAIRS], image)
