"""Random, block and grid masks, and any other that is installed: coverage, and how hard the masked patches are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, build_installed, build_plugin, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several, Words
from sslbench_plugins.blocks.studies.tables import as_rows
from sslbench_plugins.simulators.masking_comparator.claims import RATIO, SOURCE, STRATEGIES, claims
from sslbench_plugins.simulators.masking_comparator.figures import masks_figure
from sslbench_plugins.simulators.masking_comparator.sampling import Sampler
from sslbench_plugins.simulators.masking_comparator.tables import (
    ExtremeRow,
    StrategyRow,
    extreme_row,
    mask_row,
    strategy_row,
)


def rows_and_columns(value: Any) -> Any:
    """``"14x14"`` -> ``["14", "14"]``. Raises ValueError for what are not two sides."""
    sides = value.lower().split("x") if isinstance(value, str) else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise ValueError("expected ROWSxCOLUMNS, such as 8x8")
    return sides


Side = Annotated[int, Field(ge=1, le=64)]


class MaskingComparatorParams(SimulatorParams):
    """Which maskings, on which grid, at which ratios."""

    grid: Annotated[tuple[Side, Side], BeforeValidator(rows_and_columns)] = param(
        (8, 8), "ROWSxCOLUMNS", unit="patches"
    )
    ratios: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Several, OneOrMore] = param(
        (0.25, 0.5, 0.75, 0.9), "shares of the patches that are masked, each in (0, 1), a+b+c"
    )
    draws: int = param(100, "masks of each kind", ge=1, le=10_000)
    maskings: Words = param((), "registered maskings, a+b+c, such as random+block; empty: all that are installed")


class MaskingComparator:
    """Masks of every strategy at every ratio, measured."""

    def __init__(self, params: MaskingComparatorParams) -> None:
        self.params = params
        self.sampler = Sampler(params.grid, params.draws)
        self.installed = build_installed("masking")
        chosen = {name: build_plugin("masking", name, "maskings") for name in params.maskings}
        self.maskings = chosen or self.installed

    def run(self, seed: int) -> SimulationResult:
        grid, ratios = self.params.grid, self.params.ratios
        samples = {
            (name, ratio): self.sampler.sample(name, masking, ratio, seed)
            for name, masking in self.maskings.items()
            for ratio in ratios
        }
        rows = [strategy_row(name, ratio, sample, grid) for (name, ratio), sample in samples.items()]
        extremes = [extreme_row(ratio, rows) for ratio in ratios]
        masks = [mask_row(name, ratio, sample) for (name, ratio), sample in samples.items()]
        testable = set(STRATEGIES) <= set(self.installed)
        seeds = range(seed, seed + self.params.claim_seeds)
        return SimulationResult(
            {"strategies": as_rows(rows), "extremes": as_rows(extremes), "sample_masks": as_rows(masks)},
            claims({number: self.measured(number) for number in seeds}) if testable else [],
            {"masks": lambda: masks_figure(samples, grid)},
            advice(extremes),
        )

    def measured(self, seed: int) -> dict[str, StrategyRow]:
        """Of the strategies that the claims are about, at their ratio."""
        samples = {name: self.sampler.sample(name, self.installed[name], RATIO, seed) for name in STRATEGIES}
        return {name: strategy_row(name, RATIO, sample, self.params.grid) for name, sample in samples.items()}


def advice(extremes: list[ExtremeRow]) -> str:
    """Names the hardest and the most even strategy at the ratio nearest to that of the claims."""
    known = [row for row in extremes if row.highest_difficulty and row.most_even_coverage]
    if not known:
        return "At these ratios too little is visible to compare maskings; take a larger grid."
    row = min(known, key=lambda row: abs(row.ratio - RATIO))
    return (
        f"Choose the masking by the task you want: at a ratio of {row.ratio:g}, {row.highest_difficulty} asks"
        f" most of the model, and {row.most_even_coverage} shows it something of every part of the image."
    )


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    """The simulator."""
    return [
        SimulatorSpec(
            name="masking-comparator",
            params=MaskingComparatorParams,
            build=lambda params, context: MaskingComparator(params),
            citation=SOURCE,
        )
    ]
