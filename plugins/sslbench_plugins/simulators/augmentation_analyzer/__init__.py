"""How hard is a positive pair? Overlap of two views under every pair of augmentations."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.random import RandomState

from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.image_views import ArrayView, read_image, views_by_reference
from sslbench_plugins.blocks.studies.listed import OneOrMore, Words
from sslbench_plugins.blocks.studies.tables import as_rows
from sslbench_plugins.simulators.augmentation_analyzer.claims import SOURCE, claims
from sslbench_plugins.simulators.augmentation_analyzer.figures import matrices_figure, views_figure
from sslbench_plugins.simulators.augmentation_analyzer.overlap import READINGS, Correlations, drawn_image, overlaps
from sslbench_plugins.simulators.augmentation_analyzer.simple_views import VIEWS, Batch, View
from sslbench_plugins.simulators.augmentation_analyzer.tables import ExtremeRow, extremes, matrix, pair_row, self_pairs


class AnalyzerParams(SimulatorParams):
    """Whose image, which augmentations, and how many draws of each pair."""

    image: str = param("", "an image file of yours; empty: the drawn disc, rectangle and stripe", unit="path")
    size: int = param(64, "side that your image is resized and cropped to", ge=8, le=512, unit="px")
    draws: int = param(100, "pairs of views of each pair of augmentations", ge=1, le=10_000)
    augmentations: Annotated[Words, OneOrMore] = param(
        tuple(VIEWS),
        "what to pair: crop, flip, brightness, blur, greyscale, or any registered one; a+b+c",
    )


class AugmentationAnalyzer:
    """Every pair of the augmentations, on the drawn image or a user's."""

    def __init__(self, params: AnalyzerParams) -> None:
        self.params = params
        self.image = read_image(params.image, params.size, "image") if params.image else drawn_image()
        self.views = views_by_reference(params.augmentations, VIEWS, repeated, "augmentations")

    def draw(self, seed: int, first: str, second: str, reading: str) -> Correlations:
        """Overlaps of two augmentations by name; every pair and reading has draws of its own, whatever the others."""
        views = VIEWS | self.views
        # Seeded by names, not positions, so that a pair has the same draws beside whichever others.
        words = [seed % 2**32, *f"{first}/{second}/{reading}".encode()]
        rng = RandomState(np.random.MT19937(np.random.SeedSequence(words)))
        return overlaps(self.image, views[first], views[second], reading, self.params.draws, rng)

    def run(self, seed: int) -> SimulationResult:
        names = list(self.views)
        draws = {(a, b, r): self.draw(seed, a, b, r) for r in READINGS for a in names for b in names}
        pairs = [pair_row(a, b, draws[a, b, "pair"], draws[a, b, "composed"]) for a in names for b in names]
        matrices = {f"{reading}_matrix": matrix(names, pairs, reading) for reading in READINGS}
        hardest_and_easiest = extremes(pairs)
        tables = {
            "pairs": as_rows(pairs),
            **matrices,
            "extremes": as_rows(hardest_and_easiest),
            "self_pairs": as_rows(self_pairs({name: draws[name, name, "pair"] for name in names})),
        }
        figures = {
            "pairs": lambda: matrices_figure(matrices, names),
            "views": lambda: views_figure(self.image, self.views, seed),
        }
        seeds = range(seed, seed + self.params.claim_seeds)
        return SimulationResult(
            tables, claims(seeds, VIEWS | self.views, self.draw), figures, advice(hardest_and_easiest)
        )


def repeated(view: ArrayView) -> View:
    """A registered augmentation, applied to one image as many times as there are draws."""

    def apply(images: Batch, rng: RandomState, draws: int) -> Batch:
        return view(np.broadcast_to(images, (draws, *images.shape[1:])), rng)

    return apply


def advice(rows: list[ExtremeRow]) -> str:
    """Names the hardest composition."""
    hardest = next(row for row in rows if (row.reading, row.which) == ("composed", "hardest"))
    if hardest.correlation is None:
        return "A constant image says nothing about augmentations; take another."
    return (
        f"Look for positives that are hard but share something: of these compositions {hardest.pairs} is the"
        f" hardest, with a correlation of {hardest.correlation:.2f}, and pairs near 1 teach next to nothing."
    )


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    """The simulator."""
    return [
        SimulatorSpec(
            name="augmentation-analyzer",
            params=AnalyzerParams,
            build=lambda params, context: AugmentationAnalyzer(params),
            citation=SOURCE,
        )
    ]
