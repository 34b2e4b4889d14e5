"""What labels cost, data set by data set, and what a fraction of an unlabelled pool would."""

from __future__ import annotations

from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.tables import as_rows
from sslbench_plugins.simulators.label_bottleneck.claims import SOURCE, fifty_million
from sslbench_plugins.simulators.label_bottleneck.costs import BUILT_IN, read_collections
from sslbench_plugins.simulators.label_bottleneck.figures import costs_figure
from sslbench_plugins.simulators.label_bottleneck.tables import cost_row, pool_row


class BottleneckParams(SimulatorParams):
    """Which collections, and how much of the rest to label."""

    fraction: float = param(0.01, "share of the unlabelled images to label", gt=0, le=1)
    rows: str = param("", "CSV of your own data sets: name, images, labelled, price (dollars a label)", unit="path")


class LabelBottleneck:
    """The built-in collections and a user's."""

    def __init__(self, params: BottleneckParams) -> None:
        self.params = params
        self.collections = [*BUILT_IN, *(read_collections(params.rows) if params.rows else [])]

    def run(self, seed: int) -> SimulationResult:
        fraction = self.params.fraction
        costs = [cost_row(item) for item in self.collections]
        pool = [pool_row(item, fraction) for item in self.collections if item.labelled < item.images]
        dearest = max(costs, key=lambda row: row.cost_usd)
        return SimulationResult(
            {"costs": as_rows(costs), "unlabelled_pool": as_rows(pool)},
            [fifty_million(range(seed, seed + self.params.claim_seeds))],
            {"costs": lambda: costs_figure(costs, pool)},
            f"Price the labels before choosing a method: here they cost most for {dearest.data_set}"
            f" (${dearest.cost_usd:,.0f}), and {100 * fraction:.3g}% of what has no label yet would cost"
            f" ${sum(row.cost_usd for row in pool):,.0f}.",
        )


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    """The simulator."""
    return [
        SimulatorSpec(
            name="label-bottleneck",
            params=BottleneckParams,
            build=lambda params, context: LabelBottleneck(params),
            citation=SOURCE,
        )
    ]
