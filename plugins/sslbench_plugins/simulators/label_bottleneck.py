"""What labels cost, data set by data set, and what a fraction of an unlabelled pool would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sslbench import BuildContext, Claim, SimulationResult, SimulatorParams, SimulatorSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.studies.results import Row, SeedResults, new_figure
from sslbench_plugins.blocks.studies.user_data import read_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "tutorial on self-supervised learning, exercise on the label bottleneck"
SHARE, CLAIMED = 0.01, 50_000_000
"""share of the images, and the dollars that the sentence says"""
MOST_IMAGES, HIGHEST_PRICE = 10**15, 1e9
"""beyond which a row is a slip"""


class BottleneckParams(SimulatorParams):
    """Which collections, and how much of the rest to label."""

    fraction: float = param(0.01, "share of the unlabelled images to label", gt=0, le=1)
    rows: str = param("", "CSV of your own data sets: name, images, labelled, price (dollars a label)", unit="path")


class Collection(NamedTuple):
    """Images, how many of them have a label, and the price of one label in dollars."""

    name: str
    images: int
    labelled: int
    price: float


POOL = Collection("Internet images", 5_000_000_000, 0, 0.01)
BUILT_IN = (
    Collection("ImageNet", 14_000_000, 14_000_000, 0.01),
    Collection("COCO", 330_000, 330_000, 0.50),
    Collection("Medical (chest)", 500, 500, 37.50),
    POOL,
)


def labelling_cost(images: int, price: float) -> float:
    """Dollars for one label on each image, to the cent. Raises ValueError for a negative number or price."""
    if images < 0 or price < 0:
        raise ValueError(f"labelling cost of {images} images at {price} dollars: both must be 0 or more")
    return round(images * price, 2)


def share_of(images: int, fraction: float) -> int:
    """How many images a fraction in 0..1 is, rounded. Raises ValueError outside."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction {fraction} of the images; allowed are 0 to 1")
    return round(images * fraction)


def read_collections(path: str) -> list[Collection]:
    """Rows of a CSV with the fields of ``Collection``. Raises UserError naming the row that is wrong."""
    columns = read_columns(path, "rows", Collection._fields)
    collections = []
    for number, (name, *cells) in enumerate(zip(*(columns[key] for key in Collection._fields), strict=True), start=1):
        try:
            images, labelled, price = (float(cell) for cell in cells)
            whole = images == int(images) and labelled == int(labelled)
            sound = whole and 0 <= labelled <= images <= MOST_IMAGES and 0 <= price <= HIGHEST_PRICE
        except (TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise UserError(
                f"rows = {path!r}: row {number} ({name}) has images, labelled, price = {', '.join(map(str, cells))};"
                f" expected whole numbers with 0 <= labelled <= images <= {MOST_IMAGES:g} and a price of 0 to"
                f" {HIGHEST_PRICE:g} dollars"
            )
        collections.append(Collection(str(name), int(images), int(labelled), price))
    return collections


def pool_row(item: Collection, fraction: float) -> Row:
    """Labels for a fraction of the images that have none."""
    unlabelled = item.images - item.labelled
    labels = share_of(unlabelled, fraction)
    row = {"data_set": item.name, "unlabelled": unlabelled, "fraction": fraction, "labels": labels}
    return row | {"price_per_label_usd": item.price, "cost_usd": labelling_cost(labels, item.price)}


class LabelBottleneck:
    """The built-in collections and a user's."""

    def __init__(self, params: BottleneckParams, context: BuildContext) -> None:
        self.params = params
        self.collections = [*BUILT_IN, *(read_collections(params.rows) if params.rows else [])]

    def run(self, seed: int) -> SimulationResult:
        fraction = self.params.fraction
        keys = ("data_set", "images", "labelled", "price_per_label_usd")
        costs: list[Row] = [
            dict(zip(keys, item, strict=True)) | {"cost_usd": labelling_cost(item.labelled, item.price)}
            for item in self.collections
        ]
        pool = [pool_row(item, fraction) for item in self.collections if item.labelled < item.images]
        dearest = max(costs, key=lambda row: row["cost_usd"])
        return SimulationResult(
            {"costs": costs, "unlabelled_pool": pool},
            [fifty_million(range(seed, seed + self.params.claim_seeds))],
            {"costs": lambda: costs_figure(costs, pool)},
            f"Price the labels before choosing a method: here they cost most for {dearest['data_set']}"
            f" (${dearest['cost_usd']:,.0f}), and {100 * fraction:.3g}% of what has no label yet would cost"
            f" ${sum(row['cost_usd'] for row in pool):,.0f}.",
        )


def fifty_million(seeds: Iterable[int], price: float = POOL.price) -> Claim:
    """The same on every seed, since nothing is drawn; ``price`` in dollars a label."""
    labels = share_of(POOL.images, SHARE)
    cost = labelling_cost(labels, price)
    return SeedResults(SOURCE, dict.fromkeys(seeds, cost)).claim(
        "labelling 1% of five billion images at one cent each costs fifty million dollars",
        f"{POOL.images:,} x {SHARE} x ${price} = ${CLAIMED:,}",
        lambda cost: cost == CLAIMED,
        f"{labels:,} labels cost ${cost:,.0f}, which is {cost / CLAIMED:g} of what is said; nothing is drawn",
    )


def costs_figure(costs: list[Row], pool: list[Row]) -> Figure:
    """A bar for each row that costs something, which a logarithmic axis needs."""
    bars = [(row["data_set"], row["cost_usd"]) for row in costs]
    bars += [(f"{100 * row['fraction']:.3g}% of the rest of {row['data_set']}", row["cost_usd"]) for row in pool]
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
    return [SimulatorSpec(name="label-bottleneck", params=BottleneckParams, build=LabelBottleneck, citation=SOURCE)]
