"""How hard is a positive pair? Overlap of two views under every pair of augmentations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.random import RandomState

from sslbench import BuildContext, Claim, SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Words
from sslbench_plugins.blocks.studies.results import Row, SeedResults, new_figure, row_of_pictures
from sslbench_plugins.blocks.studies.user_data import ArrayView, read_image, views_by_reference
from sslbench_plugins.simulators.augmentation_analyzer import tables
from sslbench_plugins.simulators.augmentation_analyzer.tables import READINGS, VIEWS, Batch, Correlations, View, mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "tutorial on self-supervised learning, exercise on pairs of augmentations"
HIGH = 0.5
"""mean correlation that is called high"""
Draw = Callable[[int, str, str, str], Correlations]
"""seed, first and second augmentation, reading -> correlations"""


class AnalyzerParams(SimulatorParams):
    """Whose image, which augmentations, and how many draws of each pair."""

    image: str = param("", "an image file of yours; empty: the drawn disc, rectangle and stripe", unit="path")
    size: int = param(64, "side that your image is resized and cropped to", ge=8, le=512, unit="px")
    draws: int = param(100, "pairs of views of each pair of augmentations", ge=1, le=10_000)
    augmentations: Annotated[Words, OneOrMore] = param(
        tuple(VIEWS), "what to pair: crop, flip, brightness, blur, greyscale, or any registered one; a+b+c"
    )


class Analyzer:
    """Every pair of the augmentations, on the drawn image or a user's."""

    def __init__(self, params: AnalyzerParams, context: BuildContext) -> None:
        self.params = params
        self.image = read_image(params.image, params.size, "image") if params.image else tables.drawn_image()
        self.views = views_by_reference(params.augmentations, VIEWS, repeated, "augmentations")

    def draw(self, seed: int, first: str, second: str, reading: str) -> Correlations:
        """Overlaps of two augmentations by name; every pair and reading has draws of its own, whatever the others."""
        views = VIEWS | self.views
        # Seeded by names, not positions, so that a pair has the same draws beside whichever others.
        words = [seed % 2**32, *f"{first}/{second}/{reading}".encode()]
        rng = RandomState(np.random.MT19937(np.random.SeedSequence(words)))
        return tables.overlaps(self.image, views[first], views[second], reading, self.params.draws, rng)

    def run(self, seed: int) -> SimulationResult:
        names = list(self.views)
        draws = {(a, b, r): self.draw(seed, a, b, r) for r in READINGS for a in names for b in names}
        pairs = [tables.pair_row(a, b, draws[a, b, "pair"], draws[a, b, "composed"]) for a in names for b in names]
        matrices = {f"{reading}_matrix": tables.matrix(names, pairs, reading) for reading in READINGS}
        extreme_rows = tables.extremes(pairs)
        selves = tables.self_pairs({name: draws[name, name, "pair"] for name in names})
        return SimulationResult(
            {"pairs": pairs, **matrices, "extremes": extreme_rows, "self_pairs": selves},
            claims(range(seed, seed + self.params.claim_seeds), VIEWS | self.views, self.draw),
            {
                "pairs": lambda: matrices_figure(matrices, names),
                "views": lambda: views_figure(self.image, self.views, seed),
            },
            advice(extreme_rows),
        )


def claims(seeds: range, names: Collection[str], draw: Draw) -> list[Claim]:
    """All claims in both readings; self-pairs of each of ``names``."""
    return [
        *(self_pair_claim(seeds, name, reading, draw) for reading in READINGS for name in names),
        *(jitter_claim(seeds, reading, draw) for reading in READINGS),
    ]


def self_pair_claim(seeds: range, name: str, reading: str, draw: Draw) -> Claim:
    """Two views under one augmentation overlap highly but not perfectly."""
    draws = SeedResults(SOURCE, {seed: draw(seed, name, name, reading) for seed in seeds})
    exact = float(np.mean([(values == 1).mean() for values in draws.results.values()]))
    words = "one view by each" if reading == "pair" else "applied twice to both views"

    def high_but_below_one(values: Correlations) -> bool | None:
        average = mean(values)
        return None if average is None else HIGH <= average < 1

    return draws.claim(
        f"a pair of views under one augmentation overlaps highly but not perfectly ({name}, {words})",
        f"mean correlation of at least {HIGH:g}, and below 1",
        high_but_below_one,
        f"mean {draws.spread(mean)}, lowest {draws.spread(tables.lowest)}, exactly 1 in {exact:.0%} of the draws",
    )


def jitter_claim(seeds: range, reading: str, draw: Draw) -> Claim:
    """Crop with colour jitter overlaps less than blur with brightness."""

    def both(seed: int) -> tuple[float | None, float | None]:
        return mean(draw(seed, "crop", "brightness", reading)), mean(draw(seed, "blur", "brightness", reading))

    def hard_is_lower(means: tuple[float | None, float | None]) -> bool | None:
        hard, easy = means
        return None if hard is None or easy is None else hard < easy

    pairs = SeedResults(SOURCE, {seed: both(seed) for seed in seeds})
    words = "one view by each" if reading == "pair" else "both views by both"
    return pairs.claim(
        f"crop with colour jitter overlaps less than blur with brightness ({words})",
        "the mean correlation under crop and brightness, the colour jitter here, is the lower one",
        hard_is_lower,
        f"crop with brightness {pairs.spread(lambda means: means[0])},"
        f" blur with brightness {pairs.spread(lambda means: means[1])}",
    )


def repeated(view: ArrayView) -> View:
    """A registered augmentation, applied to one image as many times as there are draws."""
    return lambda images, rng, draws: view(np.broadcast_to(images, (draws, *images.shape[1:])), rng)


def advice(rows: list[Row]) -> str:
    """Names the hardest composition."""
    hardest = next(row for row in rows if (row["reading"], row["which"]) == ("composed", "hardest"))
    if hardest["correlation"] is None:
        return "A constant image says nothing about augmentations; take another."
    return (
        f"Look for positives that are hard but share something: of these compositions {hardest['pairs']} is the"
        f" hardest, with a correlation of {hardest['correlation']:.2f}, and pairs near 1 teach next to nothing."
    )


def matrices_figure(matrices: Mapping[str, list[Row]], names: list[str]) -> Figure:
    """Heat maps side by side, each value written in its cell; ``-`` where it is undefined."""
    side = 0.9 * len(names) + 1.5
    figure = new_figure(2 * side, side)
    for axes, (title, rows) in zip(figure.subplots(1, len(matrices)), matrices.items(), strict=True):
        values = np.array([[np.nan if row[name] is None else row[name] for name in names] for row in rows])
        axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
        for (row, col), value in np.ndenumerate(values):
            # Only what is exactly 1 is shown as 1.
            text = "-" if np.isnan(value) else "1" if value == 1 else f"{value:.3f}"
            axes.text(col, row, text, ha="center", va="center", color="white" if value < 0.6 else "black")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(title=title.replace("_", " "), xlabel="second", ylabel="first")
    return figure


def views_figure(image: Batch, views: Mapping[str, View], seed: int) -> Figure:
    """The image and one view by each augmentation."""
    batches = {"image": image, **{name: view(image[None], RandomState(seed), 1)[0] for name, view in views.items()}}
    pictures = {name: (pixels.transpose(1, 2, 0) / tables.WHITE).clip(0, 1) for name, pixels in batches.items()}
    return row_of_pictures(pictures, (1.8, 2.1))


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="augmentation-analyzer", params=AnalyzerParams, build=Analyzer, citation=SOURCE)]
