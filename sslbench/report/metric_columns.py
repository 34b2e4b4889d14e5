"""Metrics as columns: their labels, their order, and which evaluators have a table of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sslbench.report.rows import Row, assigned, differing, evaluator_key
from sslbench.store.record import MetricValue, Record

MANY = 3
"""metrics of one evaluator that the main table has room for"""


@dataclass(frozen=True)
class Sample:
    """One metric of one record."""

    row: int
    """index of its row"""
    name: str
    metric: MetricValue
    record: Record
    evaluator: str
    """``evaluator_key`` of the record"""

    @property
    def measured(self) -> bool:
        """Whether it has a value that counts: what a failed cell has is no measurement."""
        return self.record.finished and self.metric.value is not None

    @property
    def value(self) -> float:
        """Of what was measured."""
        assert self.metric.value is not None
        return float(self.metric.value)

    @property
    def evaluator_name(self) -> str:
        """Empty where the record has none."""
        return self.record.evaluator or ""

    @property
    def evaluator_params(self) -> Mapping[str, Any]:
        """As resolved."""
        return self.record.params.get("evaluator", {})


@dataclass(frozen=True)
class MetricColumn:
    """One metric of one evaluator."""

    label: str
    """its name, and what tells evaluators apart that share the name"""
    name: str
    unit: str
    higher_is_better: bool | None
    """None: neither"""
    table: str = ""
    """of an evaluator with many metrics: the title of a table of its own"""
    detail: bool = False
    """in that table alone; the headline is in the main one too"""


def samples_of(rows: Sequence[Row]) -> list[Sample]:
    """All metrics of all records of these rows."""
    return [
        Sample(index, name, metric, record, evaluator_key(record))
        for index, row in enumerate(rows)
        for record in row.records
        for name, metric in record.metrics.items()
    ]


class MetricColumns:
    """The columns of some samples: evaluators in the order in which they appear, the metrics of each by name.

    A metric that nobody measured has a column only if its evaluator measured nothing else.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._first = {(sample.name, sample.evaluator): sample for sample in reversed(samples)}
        order = list(dict.fromkeys(sample.evaluator for sample in samples))
        self._keys = sorted(self._first, key=lambda key: (order.index(key[1]), natural(key[0])))
        self.labels = {key: self._label(key) for key in self._keys}
        """(metric, evaluator's key) -> label"""
        self.columns = self._columns({(sample.name, sample.evaluator) for sample in samples if sample.measured})
        """those that are shown"""

    def _columns(self, measured: Set[tuple[str, str]]) -> tuple[MetricColumn, ...]:
        useful = {evaluator for _, evaluator in measured}
        keys = [key for key in self._keys if key in measured or key[1] not in useful]
        titles = self._tables(keys)
        columns = []
        for key in keys:
            name, evaluator = key
            metric, headline = self._first[key].metric, self._first[key].record.headline
            title = titles.get(evaluator, "")
            detail = bool(title) and name != headline
            columns.append(MetricColumn(self.labels[key], name, metric.unit, metric.higher_is_better, title, detail))
        return tuple(columns)

    def label(self, sample: Sample) -> str:
        """Of the column that a sample belongs to."""
        return self.labels[sample.name, sample.evaluator]

    def _label(self, key: tuple[str, str]) -> str:
        name, own = key[0], self._first[key]
        rivals = [self._first[other] for other in self._keys if other[0] == name]
        words = [own.evaluator_name] if len({rival.evaluator_name for rival in rivals}) > 1 else []
        tag = " ".join(filter(None, [*words, parameters_among(own, rivals)]))
        return f"{name} ({tag})" if tag else name

    def _tables(self, keys: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Evaluators that show more than ``MANY`` metrics and say which is the headline -> their names, with the
        parameters that tell them apart."""
        known = {evaluator: sample for (_, evaluator), sample in self._first.items()}
        titles = {}
        for evaluator, sample in known.items():
            own = [name for name, other in keys if other == evaluator]
            if len(own) > MANY and sample.record.headline in own:
                parameters = parameters_among(sample, list(known.values()))
                name = sample.evaluator_name
                titles[evaluator] = f"{name} ({parameters})" if parameters else name
        return titles


def parameters_among(sample: Sample, others: Sequence[Sample]) -> str:
    """The parameters that tell the evaluator of a sample from others of its name."""
    same = [other.evaluator_params for other in others if other.evaluator_name == sample.evaluator_name]
    return assigned(sample.evaluator_params, differing(same))


def natural(name: str) -> list[tuple[int, float, str]]:
    """A sort key in which ``@2`` comes before ``@13``, and ``@0.5`` after ``@0.25``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]
