"""What labels cost, data set by data set, and what a fraction of an unlabelled pool would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslbench import Claim, SimulationResult, SimulatorParams, SimulatorSpec, check_claim, hookimpl, param
from sslbench_plugins.blocks.studies.figures import new_figure
from sslbench_plugins.blocks.studies.tables import as_rows
from sslbench_plugins.simulators.label_bottleneck.costs import (
    BUILT_IN,
    POOL,
    Collection,
    labelling_cost,
    read_collections,
    share_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "tutorial on self-supervised learning, exercise on the label bottleneck"
SHARE, CLAIMED = 0.01, 50_000_000
"""share of the images, and the dollars that the sentence says"""


class BottleneckParams(SimulatorParams):
    """Which collections, and how much of the rest to label."""

    fraction: float = param(0.01, "share of the unlabelled images to label", gt=0, le=1)
    rows: str = param("", "CSV of your own data sets: name, images, labelled, price (dollars a label)", unit="path")


@dataclass(frozen=True)
class CostRow:
    """The labels that a collection has."""

    data_set: str
    images: int
    labelled: int
    price_per_label_usd: float
    cost_usd: float


@dataclass(frozen=True)
class PoolRow:
    """Labels for a fraction of the images that have none."""

    data_set: str
    unlabelled: int
    fraction: float
    labels: int
    price_per_label_usd: float
    cost_usd: float


def cost_row(item: Collection) -> CostRow:
    """Of one collection."""
    cost = labelling_cost(item.labelled, item.price)
    return CostRow(item.name, item.images, item.labelled, item.price, cost)


def pool_row(item: Collection, fraction: float) -> PoolRow:
    """Of one collection with images that have no label."""
    unlabelled = item.images - item.labelled
    labels = share_of(unlabelled, fraction)
    return PoolRow(item.name, unlabelled, fraction, labels, item.price, labelling_cost(labels, item.price))


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


def fifty_million(seeds: Iterable[int], price: float = POOL.price) -> Claim:
    """The same on every seed, since nothing is drawn; ``price`` in dollars a label."""
    labels = share_of(POOL.images, SHARE)
    cost = labelling_cost(labels, price)
    return check_claim(
        "labelling 1% of five billion images at one cent each costs fifty million dollars",
        SOURCE,
        f"{POOL.images:,} x {SHARE} x ${price} = ${CLAIMED:,}",
        dict.fromkeys(seeds, cost == CLAIMED),
        f"{labels:,} labels cost ${cost:,.0f}, which is {cost / CLAIMED:g} of what is said; nothing is drawn",
    )


def costs_figure(costs: list[CostRow], pool: list[PoolRow]) -> Figure:
    """A bar for each row that costs something, which a logarithmic axis needs."""
    bars = [(row.data_set, row.cost_usd) for row in costs]
    bars += [(f"{100 * row.fraction:.3g}% of the rest of {row.data_set}", row.cost_usd) for row in pool]
    bars = [(name, cost) for name, cost in bars if cost > 0]
    figure = new_figure(7, 1 + 0.4 * len(bars))
    axes = figure.subplots()
    # By position, since two rows may have one name.
    container = axes.barh(range(len(bars)), [cost for _, cost in bars], color="#4477aa")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.bar_label(container, labels=[f"${cost:,.0f}" for _, cost in bars], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_xlabel("cost of the labels, dollars")
    return figure


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
