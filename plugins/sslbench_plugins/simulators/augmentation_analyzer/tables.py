"""Rows of the tables: every pair, their matrix, the hardest and easiest pairs, and the self-pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sslbench_plugins.blocks.studies.tables import Row, best_keys
from sslbench_plugins.simulators.augmentation_analyzer.overlap import READINGS, Correlations, defined, mean


@dataclass(frozen=True)
class PairRow:
    """Mean correlation of two augmentations in both readings; None where no draw has one."""

    first: str
    second: str
    pair_correlation: float | None
    composed_correlation: float | None
    reason: str

    def correlation(self, reading: str) -> float | None:
        """In the reading ``pair`` or ``composed``."""
        return self.pair_correlation if reading == "pair" else self.composed_correlation


@dataclass(frozen=True)
class ExtremeRow:
    """The hardest or the easiest pair of one reading, ties named."""

    reading: str
    which: str
    pairs: str | None
    correlation: float | None
    reason: str


@dataclass(frozen=True)
class SelfPairRow:
    """An augmentation paired with itself: its correlations over the draws."""

    augmentation: str
    mean: float | None
    minimum: float | None
    maximum: float | None
    share_exactly_one: float | None
    reason: str


def undefined_draws(*readings: Correlations) -> str:
    """How many draws have no correlation, and why; empty where all have."""
    count = max(int(np.isnan(values).sum()) for values in readings)
    return f"a view was constant, which has no correlation, in {count} of {len(readings[0])} draws" if count else ""


def pair_row(first: str, second: str, pair: Correlations, composed: Correlations) -> PairRow:
    """Means over the draws of both readings."""
    return PairRow(first, second, mean(pair), mean(composed), undefined_draws(pair, composed))


def matrix(names: Iterable[str], pairs: list[PairRow], reading: str) -> list[Row]:
    """A row for each first augmentation, a column for each second."""
    values = {(row.first, row.second): row.correlation(reading) for row in pairs}
    rows: list[Row] = [{"first": first, **{second: values[first, second] for second in names}} for first in names]
    return [{**row, "reason": "no draw has a correlation: see pairs" if None in row.values() else ""} for row in rows]


def extremes(pairs: list[PairRow]) -> list[ExtremeRow]:
    """The hardest and the easiest pair of each reading, self-pairs included."""
    choices = {"hardest": min, "easiest": max}
    rows = []
    for reading in READINGS:
        values = {f"{row.first} + {row.second}": row.correlation(reading) for row in pairs}
        for which, best in choices.items():
            tied = best_keys(values, best)
            reason = "" if tied else "no pair has a defined correlation"
            known = [value for value in values.values() if value is not None]
            correlation = best(known) if known else None
            rows.append(ExtremeRow(reading, which, ", ".join(tied) or None, correlation, reason))
    return rows


def self_pairs(draws: Mapping[str, Correlations]) -> list[SelfPairRow]:
    """For each augmentation the draws of its self-pair, and last all of them together."""
    together = self_pair("all", np.concatenate(list(draws.values())))
    return [*(self_pair(name, values) for name, values in draws.items()), together]


def self_pair(name: str, values: Correlations) -> SelfPairRow:
    """Mean, extremes, and the share of the defined draws whose correlation is exactly 1."""
    known, reason = defined(values), undefined_draws(values)
    if not len(known):
        return SelfPairRow(name, None, None, None, None, reason)
    exact = float((known == 1).mean())
    return SelfPairRow(name, mean(values), float(known.min()), float(known.max()), exact, reason)
