"""Random, block and grid masks, and any other that is installed: coverage, and how hard the hidden patches are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    UserError,
    across_seeds,
    build_installed,
    build_plugin,
    check_claim,
    hookimpl,
    masked_count,
    param,
)
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several, Words
from sslbench_plugins.simulators.masking_comparator.coverage import (
    coverage_uniformity,
    mean_visible_distance,
    reconstruction_difficulty,
)

Masks = NDArray[np.bool_]
SOURCE = "tutorial on self-supervised learning, exercise on masking strategies"
FINISHED = ("random", "block", "grid")
RATIO = 0.75
"""of the claims"""
MEASURES = ("mean_visible_distance", "coverage_uniformity", "reconstruction_difficulty")


def rows_and_columns(value: Any) -> Any:
    """``"14x14"`` -> ``["14", "14"]``."""
    sides = value.lower().split("x") if isinstance(value, str) else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise ValueError("expected ROWSxCOLUMNS, such as 8x8")
    return sides


Side = Annotated[int, Field(ge=1, le=64)]


class MaskingComparatorParams(SimulatorParams):
    grid: Annotated[tuple[Side, Side], BeforeValidator(rows_and_columns)] = param(
        (8, 8), "ROWSxCOLUMNS", unit="patches"
    )
    ratios: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Several, OneOrMore] = param(
        (0.25, 0.5, 0.75, 0.9), "shares of the patches that are hidden, each in (0, 1), a+b+c"
    )
    draws: int = param(100, "masks of each kind", ge=1, le=10_000)
    maskings: Words = param((), "registered maskings, a+b+c, such as random+block; empty: all that are installed")


class MaskingComparator:
    def __init__(self, params: MaskingComparatorParams) -> None:
        self.params = params
        self.judged = build_installed("masking")
        self.maskings = {name: build_plugin("masking", name, "maskings") for name in params.maskings} or self.judged

    def masks(self, name: str, masking: Any, ratio: float, seed: int) -> Masks | str:
        """Hidden patches, bool ``[draws, rows * cols]``, from a generator seeded anew; or why there are none.

        A masking that fails or hides another number of patches spoils its own rows only.
        """
        patches = self.params.grid[0] * self.params.grid[1]
        try:
            hidden = masked_count(patches, ratio)
        except UserError:
            return f"{visible_count(patches, ratio)} of {patches} patches visible: nothing to measure"
        try:
            masks = masking.sample(
                self.params.draws, self.params.grid, ratio, torch.Generator().manual_seed(seed)
            ).numpy()
        except Exception as error:
            return f"masking {name!r} raised {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if masks.shape != (self.params.draws, patches) or (masks.sum(axis=1) != hidden).any():
            counts = ", ".join(map(str, sorted(set(masks.sum(axis=-1).ravel().tolist()))[:5]))
            return f"masking {name!r} hides {counts} of {patches} patches, not {hidden} in every mask"
        return masks

    def run(self, seed: int) -> SimulationResult:
        masks = {
            (name, ratio): self.masks(name, masking, ratio, seed)
            for name, masking in self.maskings.items()
            for ratio in self.params.ratios
        }
        rows = [self.row(name, ratio, one) for (name, ratio), one in masks.items()]
        measured = {
            one: {name: self.row(name, RATIO, self.masks(name, self.judged[name], RATIO, one)) for name in FINISHED}
            for one in range(seed, seed + self.params.claim_seeds)
            if set(FINISHED) <= set(self.judged)
        }
        extremes = [extreme(ratio, [row for row in rows if row["ratio"] == ratio]) for ratio in self.params.ratios]
        return SimulationResult(
            {"strategies": rows, "extremes": extremes, "sample_masks": samples(masks)},
            claims(measured) if measured else [],
            {"masks": lambda: draw(masks, self.params.grid)},
            advice(extremes),
        )

    def row(self, name: str, ratio: float, masks: Masks | str) -> dict[str, Any]:
        grid = self.params.grid
        row = {"strategy": name, "ratio": ratio, "visible_patches": visible_count(grid[0] * grid[1], ratio)}
        if isinstance(masks, str):
            return {**row, **dict.fromkeys(MEASURES), "reason": masks}
        values = (
            mean_visible_distance(~masks, grid),
            coverage_uniformity(~masks, grid),
            reconstruction_difficulty(~masks, grid),
        )
        reasons = (
            "one visible patch is at no distance from another",
            "a grid of one row or column has no quadrants",
            "",
        )
        missing = [reason for value, reason in zip(values, reasons, strict=True) if value is None]
        return {**row, **dict(zip(MEASURES, values, strict=True)), "reason": "; ".join(missing)}


def visible_count(patches: int, ratio: float) -> int:
    """``int(patches * (1 - ratio))``, not misled by binary rounding."""
    return int(patches * (1 - ratio) + 1e-9)


def samples(masks: dict[tuple[str, float], Masks | str]) -> list[dict[str, Any]]:
    """The first mask of each: which of the patches 1, 2, 3, ..., row by row, are visible."""
    return [
        {
            "strategy": name,
            "ratio": ratio,
            "visible_values": [] if isinstance(one, str) else (np.flatnonzero(~one[0]) + 1).tolist(),
            "reason": one if isinstance(one, str) else "",
        }
        for (name, ratio), one in masks.items()
    ]


def extreme(ratio: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Who is hardest and who covers most evenly, ties named."""

    def named(measure: str, best: Callable[[Any], float]) -> str | None:
        known = {row["strategy"]: row[measure] for row in rows if row[measure] is not None}
        if not known:
            return None
        wanted = best(known.values())
        return " and ".join(name for name, value in known.items() if abs(value - wanted) <= 1e-12)

    hardest, evenest = named("reconstruction_difficulty", max), named("coverage_uniformity", min)
    undefined = "no strategy has a defined value" if None in (hardest, evenest) else ""
    return {"ratio": ratio, "highest_difficulty": hardest, "most_even_coverage": evenest, "reason": undefined}


Measured = dict[int, dict[str, dict[str, Any]]]


def claims(measured: Measured) -> list[Claim]:
    coverage, difficulty = "coverage_uniformity", "reconstruction_difficulty"

    def told(*tests: tuple[str, Callable[[dict[str, float]], bool]]) -> dict[int, bool | None]:
        """By seed; each test sees one measure by strategy. None where a measure is undefined."""
        found: dict[int, bool | None] = {}
        for seed, one in measured.items():
            values = [({name: one[name][measure] for name in FINISHED}, test) for measure, test in tests]
            undefined = any(None in by_name.values() for by_name, _ in values)
            found[seed] = None if undefined else all(test(by_name) for by_name, test in values)
        return found

    def seen(measure: str, names: tuple[str, ...] = FINISHED) -> str:
        return "; ".join(f"{n} {across_seeds([one[n][measure] for one in measured.values()])}" for n in names)

    def alone(name: str, best: Callable[..., float]) -> Callable[[dict[str, float]], bool]:
        return lambda values: [n for n, value in values.items() if value == best(values.values())] == [name]

    at = f"at a ratio of {RATIO:g}"
    even = "deviation of the quadrants' visible counts"
    block = "block masking has the highest difficulty and the poorest uniformity"
    return [
        check_claim(
            f"random masking gives the most uniform coverage {at}",
            SOURCE,
            f"it has the lowest {even} of the three",
            told((coverage, alone("random", min))),
            seen(coverage),
        ),
        check_claim(
            f"grid masking has zero coverage variance {at}",
            SOURCE,
            f"the {even} is 0 in every mask",
            told((coverage, lambda values: values["grid"] == 0)),
            seen(coverage, ("grid",)),
        ),
        check_claim(
            f"grid masking has low reconstruction difficulty {at}",
            SOURCE,
            "the lowest mean distance from a hidden patch to the nearest visible one of the three",
            told((difficulty, alone("grid", min))),
            seen(difficulty),
        ),
        check_claim(
            f"{block} {at}",
            SOURCE,
            "of the three it has the highest of both measures",
            told((difficulty, alone("block", max)), (coverage, alone("block", max))),
            f"difficulty: {seen(difficulty)}; uniformity: {seen(coverage)}",
        ),
    ]


def advice(extremes: list[dict[str, Any]]) -> str:
    known = [row for row in extremes if row["highest_difficulty"] and row["most_even_coverage"]]
    if not known:
        return "At these ratios too little is visible to compare maskings; take a larger grid."
    row = min(known, key=lambda row: abs(row["ratio"] - RATIO))
    return (
        f"Choose the masking by the task you want: at a ratio of {row['ratio']:g}, {row['highest_difficulty']} asks"
        f" most of the model, and {row['most_even_coverage']} shows it something of every part of the image."
    )


def draw(masks: dict[tuple[str, float], Masks | str], grid: tuple[int, int]) -> Any:
    from matplotlib.figure import Figure

    names, ratios = list(dict.fromkeys(n for n, _ in masks)), list(dict.fromkeys(r for _, r in masks))
    figure = Figure(figsize=(2 * len(ratios) + 0.5, 2 * len(names) + 0.5), layout="constrained")
    values = np.arange(1, grid[0] * grid[1] + 1).reshape(grid)
    for row, name in zip(figure.subplots(len(names), len(ratios), squeeze=False), names, strict=True):
        for axes, ratio in zip(row, ratios, strict=True):
            one = masks[name, ratio]
            hidden = np.ones(grid, dtype=bool) if isinstance(one, str) else one[0].reshape(grid)
            axes.imshow(np.ma.masked_array(values, hidden), cmap="viridis", vmin=1, vmax=values.max())
            axes.set(title=f"{name}, {ratio:g}", xticks=[], yticks=[], facecolor="#dddddd")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="masking-comparator",
            summary=__doc__.partition("\n")[0],
            params=MaskingComparatorParams,
            build=lambda params, context: MaskingComparator(params),
            citation=SOURCE,
        )
    ]
