"""What labels cost, data set by data set, and what a fraction of an unlabelled pool would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sslbench import Claim, SimulationResult, SimulatorParams, SimulatorSpec, UserError, check_claim, hookimpl, param
from sslbench_plugins.blocks.images_on_disk.table_file import read_columns

SOURCE = "tutorial on self-supervised learning, exercise on the label bottleneck"
POOL, SHARE, PRICE, SAID = 5_000_000_000, 0.01, 0.01, 50_000_000
"""images, share of them, dollars a label, and the dollars the sentence says"""
COLUMNS = ("name", "images", "labelled", "price")
MOST_IMAGES, HIGHEST_PRICE = 10**15, 1e9
"""beyond which a row is a slip"""


class BottleneckParams(SimulatorParams):
    fraction: float = param(0.01, "share of the unlabelled images to label", gt=0, le=1)
    rows: str = param("", "CSV of your own data sets: name, images, labelled, price (dollars a label)", unit="path")


@dataclass(frozen=True)
class Collection:
    """Images, how many of them have a label, and the price of one label in dollars."""

    name: str
    images: int
    labelled: int
    price: float


BUILT_IN = (
    Collection("ImageNet", 14_000_000, 14_000_000, 0.01),
    Collection("COCO", 330_000, 330_000, 0.50),
    Collection("Medical (chest)", 500, 500, 37.50),
    Collection("Internet images", POOL, 0, PRICE),
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
    """Rows of a CSV with the columns of ``COLUMNS``. Raises UserError naming the row that is wrong."""
    columns = read_columns(path, "rows", COLUMNS)
    found = []
    for number, values in enumerate(zip(*(columns[name] for name in COLUMNS), strict=True), start=1):
        name, *numbers = values
        try:
            images, labelled, price = (float(value) for value in numbers)
            sound = images == int(images) and labelled == int(labelled)
            sound = sound and 0 <= labelled <= images <= MOST_IMAGES and 0 <= price <= HIGHEST_PRICE
        except (TypeError, ValueError, OverflowError):
            sound = False
        if not sound:
            raise UserError(
                f"rows = {path!r}: row {number} ({name}) has images, labelled, price = {', '.join(map(str, numbers))};"
                f" expected whole numbers with 0 <= labelled <= images <= {MOST_IMAGES:g} and a price of 0 to"
                f" {HIGHEST_PRICE:g} dollars"
            )
        found.append(Collection(str(name), int(images), int(labelled), price))
    return found


class LabelBottleneck:
    def __init__(self, params: BottleneckParams) -> None:
        self.params = params
        self.collections = [*BUILT_IN, *(read_collections(params.rows) if params.rows else [])]

    def run(self, seed: int) -> SimulationResult:
        costs = [
            {
                "data_set": one.name,
                "images": one.images,
                "labelled": one.labelled,
                "price_per_label_usd": one.price,
                "cost_usd": labelling_cost(one.labelled, one.price),
            }
            for one in self.collections
        ]
        pool = [self.unlabelled(one) for one in self.collections if one.labelled < one.images]
        dearest = max(costs, key=lambda row: row["cost_usd"])
        return SimulationResult(
            {"costs": costs, "unlabelled_pool": pool},
            [fifty_million(range(seed, seed + self.params.claim_seeds))],
            {"costs": lambda: draw(costs, pool)},
            f"Price the labels before choosing a method: here they cost most for {dearest['data_set']}"
            f" (${dearest['cost_usd']:,.0f}), and {100 * self.params.fraction:.3g}% of what has no label yet would cost"
            f" ${sum(row['cost_usd'] for row in pool):,.0f}.",
        )

    def unlabelled(self, one: Collection) -> dict[str, Any]:
        labels = share_of(one.images - one.labelled, self.params.fraction)
        return {
            "data_set": one.name,
            "unlabelled": one.images - one.labelled,
            "fraction": self.params.fraction,
            "labels": labels,
            "price_per_label_usd": one.price,
            "cost_usd": labelling_cost(labels, one.price),
        }


def fifty_million(seeds: range) -> Claim:
    labels = share_of(POOL, SHARE)
    cost = labelling_cost(labels, PRICE)
    return check_claim(
        "labelling 1% of five billion images at one cent each costs fifty million dollars",
        SOURCE,
        f"{POOL:,} x {SHARE} x ${PRICE} = ${SAID:,}",
        dict.fromkeys(seeds, cost == SAID),
        f"{labels:,} labels cost ${cost:,.0f}, which is {cost / SAID:g} of what is said; nothing is drawn",
    )


def draw(costs: list[dict[str, Any]], pool: list[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    bars = [(row["data_set"], row["cost_usd"]) for row in costs]
    bars += [(f"{100 * row['fraction']:.3g}% of the rest of {row['data_set']}", row["cost_usd"]) for row in pool]
    bars = [(name, cost) for name, cost in bars if cost > 0]  # the axis is logarithmic
    figure = Figure(figsize=(7, 1 + 0.4 * len(bars)), layout="constrained")
    axes = figure.subplots()
    # By place, since two rows may have one name.
    drawn = axes.barh(range(len(bars)), [cost for _, cost in bars], color="#4477aa")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.bar_label(drawn, labels=[f"${cost:,.0f}" for _, cost in bars], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_xlabel("cost of the labels, dollars")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="label-bottleneck",
            summary=__doc__.partition("\n")[0],
            params=BottleneckParams,
            build=lambda params, context: LabelBottleneck(params),
            citation=SOURCE,
        )
    ]
