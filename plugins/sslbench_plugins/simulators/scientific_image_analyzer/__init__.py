"""Eight channels with eight units: what normalisation keeps of them, and what it does to a vegetation index."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    UserError,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.blocks.studies.listed import Words
from sslbench_plugins.simulators.scientific_image_analyzer.channel_image import read_channels
from sslbench_plugins.simulators.scientific_image_analyzer.normalised_channels import percentile_clipped, z_scored
from sslbench_plugins.simulators.scientific_image_analyzer.vegetation_index import VEGETATION, index_row, ndvi

Channels = NDArray[np.float64]
SOURCE = "tutorial on self-supervised learning, exercise on scientific images"
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
PAIRS = (("Red", "Green"), ("Red", "NIR-1"), ("NIR-1", "NIR-2"), ("Thermal", "Radar-1"))
NORMALISED = (("clipped", "clipped to percentiles"), ("z-scored", "z-scored"))
MOST_PAIRS = 28
"""pairs of a user's image whose correlation is shown"""
ROUNDING = 1e-9
SURVIVES = 0.05
"""difference of the vegetation share, and of the mean NDVI, that still counts as surviving"""
CONSTANT = "a constant channel has no correlation"
UNSCALED = "a channel that cannot be scaled has no correlation"
RANK = 0.99
"""rank correlation from which on the order of the pixels counts as surviving"""


class ScientificParams(SimulatorParams):
    image: str = param(
        "", "your own [channels, rows, columns]: .npy, or GeoTIFF (.tif); empty: eight drawn ones", unit="path"
    )
    names: Words = param((), "names of your channels, a+b+c; empty: channel-0 and so on")
    red: int = param(0, "the channel of yours that is red, counted from 0", ge=0)
    nir: int = param(3, "the channel of yours that is near infrared, counted from 0", ge=0)


def drawn_channels(seed: int) -> Channels:
    """Float ``[8, 128, 128]``, channel after channel uniform in its range of ``CHANNELS``."""
    rng = RandomState(seed)
    return np.stack([rng.uniform(low, high, (128, 128)) for _, low, high, _ in CHANNELS])


class ScientificImageAnalyzer:
    def __init__(self, params: ScientificParams) -> None:
        self.params = params
        self.own = read_channels(params.image, "image") if params.image else None
        if self.own is None:
            if params.names or (params.red, params.nir) != (0, 3):
                raise UserError("names, red and nir describe your own image; give it with image=PATH")
            self.names, self.units = [c[0] for c in CHANNELS], [c[3] for c in CHANNELS]
            self.pairs = list(PAIRS)
            return
        count = len(self.own)
        for key in ("red", "nir"):
            if getattr(params, key) >= count:
                raise UserError(f"{key} = {getattr(params, key)}: the image has {count} channels, 0 to {count - 1}")
        if params.names and (len(params.names) != count or len(set(params.names)) != count):
            raise UserError(f"names = {'+'.join(params.names)!r}: {count} different names are needed, one a channel")
        self.names = list(params.names) or [f"channel-{place}" for place in range(count)]
        self.units = [""] * count
        self.pairs = list(combinations(self.names, 2))[:MOST_PAIRS]

    def run(self, seed: int) -> SimulationResult:
        # Nothing is drawn for a user's image: one seed says all there is.
        seeds = [seed] if self.own is not None else range(seed, seed + self.params.claim_seeds)
        measured = {one: self.tables(one) for one in seeds}
        tables = measured[seed]
        return SimulationResult(
            tables,
            self.claims(measured),
            {"ndvi": lambda: draw({name: self.index(v) for name, v in self.versions(seed).items()})},
            advice(tables["ndvi"]),
        )

    def versions(self, seed: int) -> dict[str, Channels]:
        raw = drawn_channels(seed) if self.own is None else self.own
        return {"raw": raw, "clipped": percentile_clipped(raw), "z-scored": z_scored(raw)}

    def index(self, channels: Channels) -> Channels:
        return ndvi(channels[self.params.nir], channels[self.params.red])

    def tables(self, seed: int) -> dict[str, list[dict[str, Any]]]:
        versions = self.versions(seed)
        indices = {name: self.index(channels) for name, channels in versions.items()}
        return {
            "channels": [
                self.channel(place, {name: channels[place] for name, channels in versions.items()})
                for place in range(len(self.names))
            ],
            "ndvi": [index_row(name, index, indices["raw"]) for name, index in indices.items()],
            "correlations": [self.correlation(versions, *pair) for pair in self.pairs],
        }

    def channel(self, place: int, version: dict[str, Channels]) -> dict[str, Any]:
        raw, scored, clipped = version["raw"], version["z-scored"], version["clipped"]
        # Both are undefined throughout or nowhere.
        has_scores, has_clipped = bool(np.isfinite(scored[0, 0])), bool(np.isfinite(clipped[0, 0]))
        return {
            "channel": self.names[place],
            "unit": self.units[place],
            "raw_mean": float(raw.mean()),
            "raw_standard_deviation": float(raw.std()),
            "percentile_2": float(np.percentile(raw, 2)),
            "percentile_98": float(np.percentile(raw, 98)),
            "z_scored_mean": float(scored.mean()) if has_scores else None,
            "z_scored_standard_deviation": float(scored.std()) if has_scores else None,
            "clipped_mean": float(clipped.mean()) if has_clipped else None,
            "clipped_standard_deviation": float(clipped.std()) if has_clipped else None,
            "reason": unscaled(raw, has_scores, has_clipped),
        }

    def correlation(self, versions: dict[str, Channels], first: str, second: str) -> dict[str, Any]:
        one, other = self.names.index(first), self.names.index(second)
        found = {name: pearson(channels[one], channels[other]) for name, channels in versions.items()}
        return {
            "first": first,
            "second": second,
            "raw": found["raw"],
            "z_scored": found["z-scored"],
            "clipped": found["clipped"],
            "reason": CONSTANT if found["raw"] is None else UNSCALED if None in found.values() else "",
        }

    def claims(self, measured: dict[int, dict[str, list[dict[str, Any]]]]) -> list[Claim]:
        def off(table: dict[str, list[dict[str, Any]]]) -> float | None:
            """How far the channels are from mean 0 and deviation 1, at the most."""
            rows = table["channels"]
            if any(row["z_scored_mean"] is None for row in rows):
                return None
            return max(max(abs(r["z_scored_mean"]), abs(r["z_scored_standard_deviation"] - 1)) for r in rows)

        def moved(table: dict[str, list[dict[str, Any]]]) -> float | None:
            rows = table["correlations"]
            if any(None in (row["raw"], row["z_scored"]) for row in rows):
                return None
            return max(abs(row["z_scored"] - row["raw"]) for row in rows)

        def told(test: Callable[[Any], float | None], limit: float) -> dict[int, bool | None]:
            found = {seed: test(table) for seed, table in measured.items()}
            return {seed: None if value is None else value <= limit for seed, value in found.items()}

        def seen(test: Callable[[Any], float | None]) -> str:
            return across_seeds([test(table) for table in measured.values()])

        return [
            check_claim(
                "after z-scoring every channel has mean 0 and standard deviation 1",
                SOURCE,
                f"both to within {ROUNDING:g} in every channel",
                told(off, ROUNDING),
                f"largest deviation {seen(off)}",
            ),
            check_claim(
                "z-scoring leaves the correlations exactly as they were",
                SOURCE,
                f"no correlation changes by more than {ROUNDING:g}",
                told(moved, ROUNDING),
                f"largest change {seen(moved)}",
            ),
            *index_claims({seed: {row["version"]: row for row in t["ndvi"]} for seed, t in measured.items()}),
        ]


def unscaled(raw: Channels, has_scores: bool, has_clipped: bool) -> str:
    """Why a channel has no z-scores, or nothing between its percentiles; empty where it has both."""
    if raw.min() == raw.max():
        return "a constant channel cannot be scaled"
    missing = [
        *([] if has_scores else ["a spread this small cannot be divided by"]),
        *([] if has_clipped else ["the 2nd and the 98th percentile are equal: nothing to scale between them"]),
    ]
    return "; ".join(missing)


def index_claims(measured: dict[int, dict[str, dict[str, Any]]]) -> list[Claim]:
    def values(version: str, key: str) -> list[float | None]:
        return [one[version][key] for one in measured.values()]

    def survived(one: dict[str, dict[str, Any]], version: str) -> bool | None:
        pairs = [(one["raw"][key], one[version][key]) for key in ("vegetation_share", "mean")]
        if any(None in pair for pair in pairs):
            return None
        return all(abs(before - after) <= SURVIVES for before, after in pairs)

    def above_half(version: str) -> dict[int, bool | None]:
        shares = {seed: one[version]["vegetation_share"] for seed, one in measured.items()}
        return {seed: None if share is None else share > 0.5 for seed, share in shares.items()}

    most, scaled = above_half("raw"), above_half("clipped")
    shares = {version: across_seeds(values(version, "vegetation_share")) for version in ("raw", "clipped")}
    return [
        check_claim(
            "most raw pixels have an NDVI above 0.3",
            SOURCE,
            "more than half of the pixels",
            most,
            f"share above {VEGETATION:g}: {shares['raw']}",
        ),
        check_claim(
            "most raw pixels have an NDVI above 0.3 because NIR dominates",
            SOURCE,
            "more than half of the raw pixels, and no longer when both channels have the same range",
            {s: not scaled[s] if most[s] and scaled[s] is not None else None if most[s] else most[s] for s in measured},
            f"share above {VEGETATION:g}: raw {shares['raw']}, both channels scaled to 0..1 {shares['clipped']}",
        ),
        *(
            check_claim(
                f"NDVI survives normalisation ({how})",
                SOURCE,
                f"mean NDVI and share above {VEGETATION:g} change by at most {SURVIVES:g}",
                {seed: survived(one, version) for seed, one in measured.items()},
                "; ".join(
                    f"{words} {across_seeds(values('raw', key))} -> {across_seeds(values(version, key))}"
                    for key, words in (("mean", "mean"), ("vegetation_share", "vegetation share"))
                ),
            )
            for version, how in NORMALISED
        ),
        *(
            check_claim(
                f"NDVI survives normalisation (order of the pixels, {how})",
                SOURCE,
                f"rank correlation with the raw NDVI of at least {RANK:g}",
                {
                    seed: None if (rank := one[version]["rank_correlation_with_raw"]) is None else rank >= RANK
                    for seed, one in measured.items()
                },
                f"rank correlation {across_seeds(values(version, 'rank_correlation_with_raw'))}",
            )
            for version, how in NORMALISED
        ),
    ]


def advice(rows: list[dict[str, Any]]) -> str:
    share = {row["version"]: row["vegetation_share"] for row in rows}
    if None in share.values():
        return "Compute an index on physical values, before anything is normalised; here it is not defined everywhere."
    return (
        "Compute indices such as NDVI on physical values, before anything is normalised: the share of pixels above"
        f" {VEGETATION:g} is {share['raw']:.2f} raw, {share['clipped']:.2f} clipped and"
        f" {share['z-scored']:.2f} z-scored."
    )


def draw(indices: dict[str, Channels]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, index) in zip(figure.subplots(1, 3), indices.items(), strict=True):
        shown = axes.imshow(index.clip(-1, 1), cmap="RdYlGn", vmin=-1, vmax=1)
        axes.set_title(name)
        axes.set_axis_off()
    figure.colorbar(shown, ax=figure.axes, label="NDVI (beyond -1..1 cut)", shrink=0.9)
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="scientific-image-analyzer",
            summary=__doc__.partition("\n")[0],
            params=ScientificParams,
            build=lambda params, context: ScientificImageAnalyzer(params),
            citation=SOURCE,
        )
    ]
