"""Image collections, and what labels of them cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sslbench import UserError
from sslbench_plugins.blocks.studies.table_file import read_columns

COLUMNS = ("name", "images", "labelled", "price")
MOST_IMAGES, HIGHEST_PRICE = 10**15, 1e9
"""beyond which a row is a slip"""


@dataclass(frozen=True)
class Collection:
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
    """Rows of a CSV with the columns of ``COLUMNS``. Raises UserError naming the row that is wrong."""
    columns = read_columns(path, "rows", COLUMNS)
    rows = zip(*(columns[name] for name in COLUMNS), strict=True)
    return [collection_of(row, number, path) for number, row in enumerate(rows, start=1)]


def collection_of(row: Sequence[Any], number: int, path: str) -> Collection:
    """One row. Raises UserError for what is no number or out of range."""
    name, *cells = row
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
    return Collection(str(name), int(images), int(labelled), price)
