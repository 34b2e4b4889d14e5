"""What to do with three per cent of positives: nothing, weigh the classes, or draw positives again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sslbench import BuildContext, SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.results import new_figure
from sslbench_plugins.simulators.imbalance_comparator import tables
from sslbench_plugins.simulators.imbalance_comparator.claims import SOURCE, claims
from sslbench_plugins.simulators.imbalance_comparator.tables import SPLIT_SEED, WANTED, Measured, Oversampling

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ComparatorParams(SimulatorParams):
    """Whose features, and how the operating point is looked for."""

    features: str = param("", "CSV or parquet with numeric columns and a column of labels of yours", unit="path")
    label: str = param("label", "the column of labels in that file")
    positive: str = param("", "the label that is positive; empty: the rarer one")
    thresholds: int = param(500, "thresholds from 0 to 1 that the operating point is looked for on", ge=2, le=100_000)
    oversampling: Oversampling = param(
        "added",
        "added: the positives that there are, and drawn ones up to parity; redrawn: as many as negatives, all drawn",
    )


class Comparator:
    """Three strategies, on generated features or a user's table."""

    def __init__(self, params: ComparatorParams, context: BuildContext) -> None:
        self.params = params
        self.table = tables.read_labelled(params.features, params.label, params.positive) if params.features else None

    def measured(self, seed: int) -> Measured:
        """Both tables. Generated features depend on the seed; of a user's table it is that of the split."""
        data, split_seed = (tables.generated(seed), SPLIT_SEED) if self.table is None else (self.table, seed)
        return tables.measure(data, split_seed, self.params.oversampling, self.params.thresholds)

    def run(self, seed: int) -> SimulationResult:
        measured = {s: self.measured(s) for s in range(seed, seed + self.params.claim_seeds)}
        result = measured[seed]
        return SimulationResult(
            {"strategies": list(result.strategies.values()), "operating_points": list(result.points.values())},
            claims(measured),
            {"operating_points": lambda: operating_points_figure(result, self.params.thresholds)},
            advice(result),
        )


def advice(result: Measured) -> str:
    """Names the strategy with the best specificity at the wanted sensitivity."""
    best = max((result.points[name, "exact"] for name in result.fits), key=lambda row: row["specificity"])
    return (
        f"Choose the threshold on held-out data before reaching for resampling: the three AUCs are within"
        f" {result.spread_of_areas:.3f} of each other, and at {WANTED:.0%} sensitivity {best['strategy']!r} has the"
        f" best specificity, {best['specificity']:.2f}, with its threshold at {best['threshold']:.3f}."
    )


def operating_points_figure(result: Measured, count: int) -> Figure:
    """Over as many thresholds; a dashed line at the highest that reaches the wanted sensitivity."""
    thresholds = np.linspace(0, 1, count)
    figure = new_figure(10, 3.6)
    for axes, (name, fit) in zip(figure.subplots(1, 3, sharey=True), result.fits.items(), strict=True):
        sensitivity, specificity = tables.sensitivity_and_specificity(fit.probability, result.positive, thresholds)
        axes.plot(thresholds, sensitivity, label="sensitivity", color="#cc6677")
        axes.plot(thresholds, specificity, label="specificity", color="#4477aa")
        axes.axhline(WANTED, color="grey", linewidth=0.8, linestyle=":", label=f"{WANTED:.0%}")
        threshold = result.points[name, "useful"]["threshold"]
        axes.axvline(threshold, color="black", linewidth=0.8, linestyle="--", label="highest that reaches it")
        axes.set(title=name, xlabel="threshold")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="imbalance-comparator", params=ComparatorParams, build=Comparator, citation=SOURCE)]
