"""Rows of the two tables: what labels cost, and what labels of a share of the rest would cost."""

from __future__ import annotations

from dataclasses import dataclass

from sslbench_plugins.simulators.label_bottleneck.costs import Collection, labelling_cost, share_of


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
