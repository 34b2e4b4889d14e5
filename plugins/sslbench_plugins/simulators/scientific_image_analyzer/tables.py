"""Rows of the three tables: the channels, the NDVI of each version, and correlations of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.simulators.scientific_image_analyzer.channels import Channels, ChannelSource, Versions
from sslbench_plugins.simulators.scientific_image_analyzer.vegetation_index import IndexRow, index_row

CONSTANT = "a constant channel has no correlation"
UNSCALED = "a channel that cannot be scaled has no correlation"


@dataclass(frozen=True)
class ChannelRow:
    """One channel before and after; None where it cannot be scaled, and ``reason`` says why."""

    channel: str
    unit: str
    raw_mean: float
    raw_standard_deviation: float
    percentile_2: float
    percentile_98: float
    z_scored_mean: float | None
    z_scored_standard_deviation: float | None
    clipped_mean: float | None
    clipped_standard_deviation: float | None
    reason: str


@dataclass(frozen=True)
class CorrelationRow:
    """Pearson's correlation of two channels in each version; None where one of them is constant."""

    first: str
    second: str
    raw: float | None
    z_scored: float | None
    clipped: float | None
    reason: str


@dataclass(frozen=True)
class Measured:
    """All tables of one seed."""

    channels: list[ChannelRow]
    ndvi: list[IndexRow]
    correlations: list[CorrelationRow]

    def index(self, version: str) -> IndexRow:
        """The NDVI of ``raw``, ``clipped`` or ``z-scored`` channels."""
        return next(row for row in self.ndvi if row.version == version)


def measure(source: ChannelSource, versions: Versions, indices: dict[str, Channels]) -> Measured:
    """All tables; ``indices`` are the NDVI of each version, ``[H, W]``."""
    return Measured(
        [channel_row(source, versions, index) for index in range(len(source.names))],
        [index_row(name, index, indices["raw"]) for name, index in indices.items()],
        [correlation_row(source, versions, first, second) for first, second in source.pairs],
    )


def mean_and_deviation(channel: Channels) -> tuple[float | None, float | None]:
    """Both None for a channel that has no scale: it is NaN throughout or nowhere."""
    if not np.isfinite(channel[0, 0]):
        return None, None
    return float(channel.mean()), float(channel.std())


def channel_row(source: ChannelSource, versions: Versions, index: int) -> ChannelRow:
    """The channel at ``index``."""
    raw = versions.raw[index]
    scored_mean, scored_deviation = mean_and_deviation(versions.z_scored[index])
    clipped_mean, clipped_deviation = mean_and_deviation(versions.clipped[index])
    return ChannelRow(
        source.names[index],
        source.units[index],
        float(raw.mean()),
        float(raw.std()),
        float(np.percentile(raw, 2)),
        float(np.percentile(raw, 98)),
        scored_mean,
        scored_deviation,
        clipped_mean,
        clipped_deviation,
        unscaled_reason(raw, scored_mean is not None, clipped_mean is not None),
    )


def unscaled_reason(raw: Channels, has_scores: bool, has_clipped: bool) -> str:
    """Why a channel has no z-scores, or nothing between its percentiles; empty where it has both."""
    if raw.min() == raw.max():
        return "a constant channel cannot be scaled"
    reasons = [
        *([] if has_scores else ["a spread this small cannot be divided by"]),
        *([] if has_clipped else ["the 2nd and the 98th percentile are equal: nothing to scale between them"]),
    ]
    return "; ".join(reasons)


def correlation_row(source: ChannelSource, versions: Versions, first: str, second: str) -> CorrelationRow:
    """Two channels by name."""
    i, j = source.names.index(first), source.names.index(second)
    raw, scored, clipped = (
        pearson(channels[i], channels[j]) for channels in (versions.raw, versions.z_scored, versions.clipped)
    )
    reason = CONSTANT if raw is None else UNSCALED if scored is None or clipped is None else ""
    return CorrelationRow(first, second, raw, scored, clipped, reason)
