"""What to do with three per cent of positives: nothing, weigh the classes, or draw positives again."""

from __future__ import annotations

from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.tables import as_rows
from sslbench_plugins.simulators.imbalance_comparator.claims import SOURCE, claims
from sslbench_plugins.simulators.imbalance_comparator.features_table import generated, read_labelled
from sslbench_plugins.simulators.imbalance_comparator.figures import operating_points_figure
from sslbench_plugins.simulators.imbalance_comparator.operating_point import WANTED
from sslbench_plugins.simulators.imbalance_comparator.strategies import SPLIT_SEED, Oversampling, fit_strategies
from sslbench_plugins.simulators.imbalance_comparator.tables import Measured, measure


class ImbalanceParams(SimulatorParams):
    """Whose features, and how the operating point is looked for."""

    features: str = param("", "CSV or parquet with numeric columns and a column of labels of yours", unit="path")
    label: str = param("label", "the column of labels in that file")
    positive: str = param("", "the label that is positive; empty: the rarer one")
    thresholds: int = param(500, "thresholds from 0 to 1 that the operating point is looked for on", ge=2, le=100_000)
    oversampling: Oversampling = param(
        "added",
        "added: the positives that there are, and drawn ones up to parity; redrawn: as many as negatives, all drawn",
    )


class ImbalanceComparator:
    """Three strategies, on generated features or a user's table."""

    def __init__(self, params: ImbalanceParams) -> None:
        self.params = params
        self.table = read_labelled(params.features, params.label, params.positive) if params.features else None

    def measured(self, seed: int) -> Measured:
        """Both tables. Generated features depend on the seed; of a user's table it is that of the split."""
        data, split_seed = (generated(seed), SPLIT_SEED) if self.table is None else (self.table, seed)
        return measure(fit_strategies(data, split_seed, self.params.oversampling), self.params.thresholds)

    def run(self, seed: int) -> SimulationResult:
        measured = {number: self.measured(number) for number in range(seed, seed + self.params.claim_seeds)}
        tables = measured[seed]
        return SimulationResult(
            {"strategies": as_rows(tables.strategies), "operating_points": as_rows(tables.points)},
            claims(measured),
            {"operating_points": lambda: operating_points_figure(tables.fits, self.params.thresholds)},
            advice(tables),
        )


def advice(tables: Measured) -> str:
    """Names the strategy with the best specificity at the wanted sensitivity."""
    best = max((row for row in tables.points if row.reading == "exact"), key=lambda row: row.specificity)
    return (
        f"Choose the threshold on held-out data before reaching for resampling: the three AUCs are within"
        f" {tables.spread_of_areas:.3f} of each other, and at {WANTED:.0%} sensitivity {best.strategy!r} has the best"
        f" specificity, {best.specificity:.2f}, with its threshold at {best.threshold:.3f}."
    )


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    """The simulator."""
    return [
        SimulatorSpec(
            name="imbalance-comparator",
            params=ImbalanceParams,
            build=lambda params, context: ImbalanceComparator(params),
            citation=SOURCE,
        )
    ]
