"""How hard is a positive pair? Overlap of two views under every pair of augmentations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.images_on_disk.own_image import names_and_views, read_image
from sslbench_plugins.blocks.studies.correlation import pearson_rows
from sslbench_plugins.blocks.studies.listed import OneOrMore, Words
from sslbench_plugins.simulators.augmentation_analyzer.simple_views import VIEWS

Batch = NDArray[np.float64]
View = Callable[[Batch, RandomState, int], Batch]
SOURCE = "tutorial on self-supervised learning, exercise on pairs of augmentations"
READINGS = ("pair", "composed")
TIE = 1e-12
"""difference of two correlations that is rounding"""
HIGH = 0.5
"""mean correlation that is called high"""
PART = 1 << 21
"""values of one view that are held at once"""
HARD, EASY = ("crop", "brightness"), ("blur", "brightness")


class AnalyzerParams(SimulatorParams):
    image: str = param("", "an image file of yours; empty: the drawn disc, rectangle and stripe", unit="path")
    size: int = param(64, "side that your image is resized and cropped to", ge=8, le=512, unit="px")
    draws: int = param(100, "pairs of views of each pair of augmentations", ge=1, le=10_000)
    augmentations: Annotated[Words, OneOrMore] = param(
        tuple(VIEWS),
        "what to pair: crop, flip, brightness, blur, greyscale, or any registered one; a+b+c",
    )


def drawn_image() -> Batch:
    """Float ``[3, 64, 64]`` in 0..255: grey, a red disc, a blue rectangle, and last a green diagonal stripe."""
    image = np.full((3, 64, 64), 128.0)
    row, col = np.mgrid[:64, :64]
    for where, colour in (
        ((row - 16) ** 2 + (col - 16) ** 2 <= 10**2, (255, 0, 0)),
        ((row >= 40) & (row <= 55) & (col >= 40) & (col <= 57), (0, 0, 255)),
        (np.abs(row - col) <= 3, (0, 255, 0)),
    ):
        image[:, where] = np.array(colour, dtype=np.float64)[:, None]
    return image


def overlaps(
    image: Batch, first: View, second: View, reading: str, draws: int, rng: RandomState
) -> NDArray[np.float64]:
    """Pearson's correlation of the flattened views, one for each draw: ``[3, S, S]`` -> ``[draws]``; NaN where one
    is constant.

    ``pair``: view 1 by ``first``, view 2 by ``second``; ``composed``: both by ``first`` and then ``second``. All of the
    views are drawn independently. Raises ValueError for another reading or no draw.
    """
    if reading not in READINGS or draws < 1:
        raise ValueError(
            f"reading {reading!r} with {draws} draws; readings are {' and '.join(READINGS)}, draws 1 or more"
        )
    part = max(1, PART // image.size)
    sizes = [min(part, draws - start) for start in range(0, draws, part)]
    return np.concatenate([overlap_of_some(image, first, second, reading, count, rng) for count in sizes])


def overlap_of_some(
    image: Batch, first: View, second: View, reading: str, draws: int, rng: RandomState
) -> NDArray[np.float64]:
    """``overlaps`` with all draws in memory."""
    one = first(image[None], rng, draws)
    other = (second if reading == "pair" else first)(image[None], rng, draws)
    if reading == "composed":
        one, other = second(one, rng, draws), second(other, rng, draws)
    found = pearson_rows(one.reshape(len(one), -1), other.reshape(len(other), -1))
    return np.broadcast_to(found, draws)


class AugmentationAnalyzer:
    def __init__(self, params: AnalyzerParams) -> None:
        self.params = params
        self.image = read_image(params.image, params.size, "image") if params.image else drawn_image()
        views = names_and_views(params.augmentations, VIEWS, "augmentations")
        self.views = {name: view if name in VIEWS else repeated(view) for name, view in views.items()}

    def drawn(self, seed: int, first: str, second: str, reading: str) -> NDArray[np.float64]:
        """Overlaps of two augmentations by name; every pair and reading has its own draws, whatever else is asked."""
        views = VIEWS | self.views
        # Names, not places, so that a pair has the same draws beside whichever others.
        words = [seed % 2**32, *f"{first}/{second}/{reading}".encode()]
        rng = RandomState(np.random.MT19937(np.random.SeedSequence(words)))
        return overlaps(self.image, views[first], views[second], reading, self.params.draws, rng)

    def run(self, seed: int) -> SimulationResult:
        names = list(self.views)
        found = {(a, b, r): self.drawn(seed, a, b, r) for r in READINGS for a in names for b in names}
        pairs = [pair_row(a, b, found[a, b, "pair"], found[a, b, "composed"]) for a in names for b in names]
        matrices = {f"{r}_matrix": matrix(names, pairs, f"{r}_correlation") for r in READINGS}
        extremes = [extreme(pairs, reading, which) for reading in READINGS for which in ("hardest", "easiest")]
        tables = {"pairs": pairs, **matrices, "extremes": extremes, "self_pairs": self_pairs(names, found)}
        return SimulationResult(
            tables,
            self.claims(range(seed, seed + self.params.claim_seeds)),
            {"pairs": lambda: draw(matrices, names), "views": lambda: draw_views(self.image, self.views, seed)},
            advice(extremes),
        )

    def claims(self, seeds: range) -> list[Claim]:
        found = [
            self.self_pair_claim({s: self.drawn(s, name, name, reading) for s in seeds}, name, reading)
            for reading in READINGS
            for name in VIEWS | self.views
        ]
        for reading in READINGS:
            hard, easy = ({s: mean(self.drawn(s, *pair, reading)) for s in seeds} for pair in (HARD, EASY))
            words = "one view by each" if reading == "pair" else "both views by both"
            found.append(
                check_claim(
                    f"crop with colour jitter overlaps less than blur with brightness ({words})",
                    SOURCE,
                    "the mean correlation under crop and brightness, the colour jitter here, is the lower one",
                    {s: None if None in (hard[s], easy[s]) else hard[s] < easy[s] for s in seeds},
                    f"crop with brightness {across_seeds(list(hard.values()))},"
                    f" blur with brightness {across_seeds(list(easy.values()))}",
                )
            )
        return found

    @staticmethod
    def self_pair_claim(drawn: dict[int, NDArray[np.float64]], name: str, reading: str) -> Claim:
        means = {seed: mean(values) for seed, values in drawn.items()}
        lowest = [None if m is None else float(np.nanmin(drawn[seed])) for seed, m in means.items()]
        exact = float(np.mean([(values == 1).mean() for values in drawn.values()]))
        words = "one view by each" if reading == "pair" else "applied twice to both views"
        return check_claim(
            f"a pair of views under one augmentation overlaps highly but not perfectly ({name}, {words})",
            SOURCE,
            f"mean correlation of at least {HIGH:g}, and below 1",
            {s: None if m is None else HIGH <= m < 1 for s, m in means.items()},
            f"mean {across_seeds(list(means.values()))}, lowest {across_seeds(lowest)},"
            f" exactly 1 in {exact:.0%} of the draws",
        )


def repeated(view: Callable[[Batch, RandomState], Batch]) -> View:
    """A registered augmentation, given one image as many times as there are draws."""

    def apply(images: Batch, rng: RandomState, draws: int) -> Batch:
        return view(np.broadcast_to(images, (draws, *images.shape[1:])), rng)

    return apply


def mean(values: NDArray[np.float64]) -> float | None:
    """Mean of those that are defined; None where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def undefined(*drawn: NDArray[np.float64]) -> str:
    lost = max(int(np.isnan(values).sum()) for values in drawn)
    return f"a view was constant, which has no correlation, in {lost} of {len(drawn[0])} draws" if lost else ""


def pair_row(first: str, second: str, pair: NDArray[np.float64], composed: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "pair_correlation": mean(pair),
        "composed_correlation": mean(composed),
        "reason": undefined(pair, composed),
    }


def matrix(names: list[str], pairs: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """A row for each first augmentation, a column for each second."""
    values = {(row["first"], row["second"]): row[key] for row in pairs}
    rows = [{"first": a, **{b: values[a, b] for b in names}} for a in names]
    return [{**row, "reason": "no draw has a correlation: see pairs" if None in row.values() else ""} for row in rows]


def extreme(pairs: list[dict[str, Any]], reading: str, which: str) -> dict[str, Any]:
    """The pair with the lowest or the highest correlation, self-pairs included, ties named."""
    known = [row for row in pairs if row[f"{reading}_correlation"] is not None]
    values = [row[f"{reading}_correlation"] for row in known]
    row: dict[str, Any] = {"reading": reading, "which": which, "pairs": None, "correlation": None, "reason": ""}
    if not known:
        return {**row, "reason": "no pair has a defined correlation"}
    wanted = min(values) if which == "hardest" else max(values)
    tied = [f"{r['first']} + {r['second']}" for r, v in zip(known, values, strict=True) if abs(v - wanted) <= TIE]
    return {**row, "pairs": ", ".join(tied), "correlation": wanted}


def self_pairs(names: list[str], found: dict[tuple[str, str, str], NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Over the draws of each self-pair of the first reading, and over all of them together."""
    drawn = {name: found[name, name, "pair"] for name in names}
    rows = []
    for name, values in [*drawn.items(), ("all", np.concatenate(list(drawn.values())))]:
        known = values[~np.isnan(values)]
        rows.append(
            {
                "augmentation": name,
                "mean": mean(values),
                "minimum": float(known.min()) if len(known) else None,
                "maximum": float(known.max()) if len(known) else None,
                "share_exactly_one": float((known == 1).mean()) if len(known) else None,
                "reason": undefined(values),
            }
        )
    return rows


def advice(extremes: list[dict[str, Any]]) -> str:
    hardest = next(row for row in extremes if (row["reading"], row["which"]) == ("composed", "hardest"))
    if hardest["correlation"] is None:
        return "A constant image says nothing about augmentations; take another."
    return (
        f"Look for positives that are hard but share something: of these compositions {hardest['pairs']} is the"
        f" hardest, with a correlation of {hardest['correlation']:.2f}, and pairs near 1 teach next to nothing."
    )


def draw(matrices: dict[str, list[dict[str, Any]]], names: list[str]) -> Any:
    from matplotlib.figure import Figure

    side = 0.9 * len(names) + 1.5
    figure = Figure(figsize=(2 * side, side), layout="constrained")
    for axes, (title, rows) in zip(figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True):
        values = np.array([[np.nan if row[name] is None else row[name] for name in names] for row in rows])
        axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
        for (row, col), value in np.ndenumerate(values):
            # Only what is exactly 1 is shown as 1.
            words = "-" if np.isnan(value) else "1" if value == 1 else f"{value:.3f}"
            axes.text(col, row, words, ha="center", va="center", color="white" if value < 0.6 else "black")
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(title=title.replace("_", " "), xlabel="second", ylabel="first")
    return figure


def draw_views(image: Batch, views: dict[str, View], seed: int) -> Any:
    from matplotlib.figure import Figure

    shown = {"image": image, **{name: view(image[None], RandomState(seed), 1)[0] for name, view in views.items()}}
    figure = Figure(figsize=(1.8 * len(shown), 2.1), layout="constrained")
    for axes, (name, picture) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        axes.imshow((picture.transpose(1, 2, 0) / 255).clip(0, 1))
        axes.set_title(name)
        axes.set_axis_off()
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="augmentation-analyzer",
            summary=__doc__.partition("\n")[0],
            params=AnalyzerParams,
            build=lambda params, context: AugmentationAnalyzer(params),
            citation=SOURCE,
        )
    ]
