"""Random, block and grid masks, and any other that is installed: coverage, and how hard the masked patches are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import BeforeValidator, Field

from sslbench import (
    BuildContext,
    Claim,
    Masking,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    UserError,
    build_installed,
    build_plugin,
    hookimpl,
    masked_count,
    param,
)
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several, Words
from sslbench_plugins.blocks.studies.results import Row, SeedResults, new_figure
from sslbench_plugins.simulators.masking_comparator import tables
from sslbench_plugins.simulators.masking_comparator.tables import Grid, Sample, Samples, visible_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "tutorial on self-supervised learning, exercise on masking strategies"
STRATEGIES = ("random", "block", "grid")
RATIO = 0.75
Rows = Mapping[str, Row]
"""strategy -> its row at ``RATIO``"""
Test = Callable[[dict[str, float]], bool]
UNIFORMITY, DIFFICULTY = "coverage_uniformity", "reconstruction_difficulty"
Side = Annotated[int, Field(ge=1, le=64, strict=True)]


def rows_and_columns(value: Any) -> Any:
    """``"14x14"`` -> ``(14, 14)``. Raises ValueError for what are not two sides."""
    words = re.fullmatch(r"(\d{1,9})[xX](\d{1,9})", value, re.ASCII) if isinstance(value, str) else None
    sides = tuple(map(int, words.groups())) if words else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise ValueError("expected ROWSxCOLUMNS, such as 8x8")
    return tuple(sides)


class ComparatorParams(SimulatorParams):
    """Which maskings, on which grid, at which ratios."""

    grid: Annotated[tuple[Side, Side], BeforeValidator(rows_and_columns)] = param(
        (8, 8), "ROWSxCOLUMNS", unit="patches"
    )
    ratios: Annotated[tuple[Annotated[float, Field(gt=0, lt=1, strict=True)], ...], Several, OneOrMore] = param(
        (0.25, 0.5, 0.75, 0.9), "shares of the patches that are masked, each in (0, 1), a+b+c"
    )
    draws: int = param(100, "masks of each kind", ge=1, le=10_000)
    maskings: Words = param((), "registered maskings, a+b+c, such as random+block; empty: all that are installed")


class Comparator:
    """Masks of every strategy at every ratio, measured."""

    def __init__(self, params: ComparatorParams, context: BuildContext) -> None:
        self.params = params
        self.installed = build_installed("masking")
        chosen = {name: build_plugin("masking", name, "maskings") for name in params.maskings}
        self.maskings = chosen or self.installed

    def sample(self, name: str, masking: Masking, ratio: float, seed: int) -> Sample:
        """Masks from a generator seeded anew. A masking that fails has a reason and spoils no other."""
        grid, draws = self.params.grid, self.params.draws
        patches = grid[0] * grid[1]
        try:
            wanted = masked_count(patches, ratio)
        except UserError:
            return f"{visible_count(patches, ratio)} of {patches} patches visible: nothing to measure"
        try:
            masked = masking.sample(draws, grid, ratio, torch.Generator().manual_seed(seed)).numpy()
        except Exception as error:
            return f"masking {name!r} raised {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if masked.shape != (draws, patches) or (masked.sum(axis=1) != wanted).any():
            counts = ", ".join(map(str, sorted(set(masked.sum(axis=-1).ravel().tolist()))[:5]))
            return f"masking {name!r} masks {counts} of {patches} patches, not {wanted} in every mask"
        return masked

    def run(self, seed: int) -> SimulationResult:
        grid, ratios = self.params.grid, self.params.ratios
        samples = {(n, r): self.sample(n, masking, r, seed) for n, masking in self.maskings.items() for r in ratios}
        rows = [tables.strategy_row(name, ratio, sample, grid) for (name, ratio), sample in samples.items()]
        extremes = [tables.extreme_row(ratio, rows) for ratio in ratios]
        masks = [tables.mask_row(name, ratio, sample) for (name, ratio), sample in samples.items()]
        seeds = range(seed, seed + self.params.claim_seeds) if set(STRATEGIES) <= set(self.installed) else ()
        return SimulationResult(
            {"strategies": rows, "extremes": extremes, "sample_masks": masks},
            claims({s: self.measured(s) for s in seeds}) if seeds else [],
            {"masks": lambda: masks_figure(samples, grid)},
            advice(extremes),
        )

    def measured(self, seed: int) -> dict[str, Row]:
        """Of the strategies that the claims are about, at their ratio."""
        samples = {name: self.sample(name, self.installed[name], RATIO, seed) for name in STRATEGIES}
        return {name: tables.strategy_row(name, RATIO, sample, self.params.grid) for name, sample in samples.items()}


def all_true(tests: Mapping[str, Test]) -> Callable[[Rows], bool | None]:
    """Whether the test of each measure is true; None where a measure is undefined for one of the three."""

    def outcome(rows: Rows) -> bool | None:
        if None in [rows[name][measure] for measure in tests for name in STRATEGIES]:
            return None
        return all(test({name: rows[name][measure] for name in STRATEGIES}) for measure, test in tests.items())

    return outcome


def alone(name: str, best: Callable[..., float]) -> Test:
    """Whether one strategy, and no other, has the ``best`` value."""
    return lambda values: [n for n, value in values.items() if value == best(values.values())] == [name]


def claims(measured: Mapping[int, Rows]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)

    def of_one(name: str, measure: str) -> str:
        return f"{name} {seeds.spread(lambda rows: rows[name][measure])}"

    def of_all(measure: str) -> str:
        return "; ".join(of_one(name, measure) for name in STRATEGIES)

    at = f"at a ratio of {RATIO:g}"
    even = "deviation of the quadrants' visible counts"
    return [
        seeds.claim(
            f"random masking gives the most uniform coverage {at}",
            f"it has the lowest {even} of the three",
            all_true({UNIFORMITY: alone("random", min)}),
            of_all(UNIFORMITY),
        ),
        seeds.claim(
            f"grid masking has zero coverage variance {at}",
            f"the {even} is 0 in every mask",
            all_true({UNIFORMITY: lambda values: values["grid"] == 0}),
            of_one("grid", UNIFORMITY),
        ),
        seeds.claim(
            f"grid masking has low reconstruction difficulty {at}",
            "the lowest mean distance from a masked patch to the nearest visible one of the three",
            all_true({DIFFICULTY: alone("grid", min)}),
            of_all(DIFFICULTY),
        ),
        seeds.claim(
            f"block masking has the highest difficulty and the poorest uniformity {at}",
            "of the three it has the highest of both measures",
            all_true({DIFFICULTY: alone("block", max), UNIFORMITY: alone("block", max)}),
            f"difficulty: {of_all(DIFFICULTY)}; uniformity: {of_all(UNIFORMITY)}",
        ),
    ]


def advice(extremes: list[Row]) -> str:
    """Names the hardest and the most even strategy at the ratio nearest to that of the claims."""
    known = [row for row in extremes if row["highest_difficulty"] and row["most_even_coverage"]]
    if not known:
        return "At these ratios too little is visible to compare maskings; take a larger grid."
    row = min(known, key=lambda row: abs(row["ratio"] - RATIO))
    return (
        f"Choose the masking by the task you want: at a ratio of {row['ratio']:g}, {row['highest_difficulty']} asks"
        f" most of the model, and {row['most_even_coverage']} shows it something of every part of the image."
    )


def masks_figure(samples: Samples, grid: Grid) -> Figure:
    """The first masks: a row for each strategy, a column for each ratio; masked patches are grey."""
    names, ratios = list(dict.fromkeys(n for n, _ in samples)), list(dict.fromkeys(r for _, r in samples))
    figure = new_figure(2 * len(ratios) + 0.5, 2 * len(names) + 0.5)
    values = np.arange(1, grid[0] * grid[1] + 1).reshape(grid)
    for row, name in zip(figure.subplots(len(names), len(ratios), squeeze=False), names, strict=True):
        for axes, ratio in zip(row, ratios, strict=True):
            sample = samples[name, ratio]
            masked = np.ones(grid, dtype=bool) if isinstance(sample, str) else sample[0].reshape(grid)
            axes.imshow(np.ma.masked_array(values, masked), cmap="viridis", vmin=1, vmax=values.max())
            axes.set(title=f"{name}, {ratio:g}", xticks=[], yticks=[], facecolor="#dddddd")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="masking-comparator", params=ComparatorParams, build=Comparator, citation=SOURCE)]
