"""Metrics as columns: their labels, their order, and which evaluators have a table of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslbench.report.rows import EvaluatorKeys, Row, assigned, differing
from sslbench.store.record import MetricValue, Record

MANY = 3
"""metrics of one evaluator that the main table has room for"""
PROBES = ("knn", "linear-probe")
"""evaluators whose metrics the others are held against, and of which there are published numbers"""
LABEL_FREE = ("label-free",)
"""evaluators whose metrics describe features and do not say what they are good for"""
Key = tuple[str, str]
"""a metric's name, and the text of ``EvaluatorKeys``"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric of one record."""

    row: int
    key: Key
    metric: MetricValue
    record: Record

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

    def named_among(self, others: Sequence[Sample], name: str) -> str:
        """A name of its evaluator, with the parameters that tell it from the same evaluator of others."""
        same = [other.evaluator_params for other in others if other.evaluator_name == self.evaluator_name]
        return " ".join(filter(None, [name, assigned(self.evaluator_params, differing(same))]))


@dataclass(frozen=True)
class MetricColumn:
    """One metric of one evaluator."""

    label: str
    """its name, and what tells evaluators apart that share the name"""
    name: str
    unit: str
    higher_is_better: bool | None
    table: str = ""
    """of an evaluator with many metrics: the title of a table of its own"""
    detail: bool = False
    """in that table alone; the headline is in the main one too"""


def samples_of(rows: Sequence[Row]) -> list[Sample]:
    """All metrics of all records of these rows."""
    evaluator_key = EvaluatorKeys()
    keys: dict[Key, Key] = {}
    samples = []
    for index, row in enumerate(rows):
        for record in row.records:
            evaluator = evaluator_key(record)
            for name, metric in record.metrics.items():
                key = (name, evaluator)
                samples.append(Sample(index, keys.setdefault(key, key), metric, record))
    return samples


def metric_columns(samples: Sequence[Sample]) -> tuple[tuple[MetricColumn, ...], dict[Key, str]]:
    """The columns that are shown, evaluators in the order in which they appear, the metrics of each by name; and the
    label of every key. A metric that nobody measured has a column only if its evaluator measured nothing else."""
    first = {sample.key: sample for sample in reversed(samples)}
    order = list(dict.fromkeys(sample.key[1] for sample in samples))
    keys = sorted(first, key=lambda key: (order.index(key[1]), place(key[0])))
    labels = {key: label_of(first[key], [first[other] for other in keys if other[0] == key[0]]) for key in keys}
    measured = {sample.key for sample in samples if sample.measured}
    useful = {evaluator for _, evaluator in measured}
    shown = [key for key in keys if key in measured or key[1] not in useful]
    titles = titles_of(shown, first)
    columns = []
    for key in shown:
        metric, title = first[key].metric, titles.get(key[1], "")
        detail = bool(title) and key[0] != first[key].record.headline
        columns.append(MetricColumn(labels[key], key[0], metric.unit, metric.higher_is_better, title, detail))
    return tuple(columns), labels


def label_of(own: Sample, rivals: Sequence[Sample]) -> str:
    """Of one metric; ``rivals``: of the same name, itself among them."""
    several = len({rival.evaluator_name for rival in rivals}) > 1
    tag = own.named_among(rivals, own.evaluator_name if several else "")
    return f"{own.key[0]} ({tag})" if tag else own.key[0]


def titles_of(shown: Sequence[Key], first: Mapping[Key, Sample]) -> dict[str, str]:
    """Evaluators that show more than ``MANY`` metrics and say which is the headline -> what tells them apart."""
    known = {evaluator: sample for (_, evaluator), sample in first.items()}
    titles = {}
    for evaluator, sample in known.items():
        own = [name for name, other in shown if other == evaluator]
        if len(own) > MANY and sample.record.headline in own:
            parameters = sample.named_among(list(known.values()), "")
            titles[evaluator] = f"{sample.evaluator_name} ({parameters})" if parameters else sample.evaluator_name
    return titles


def place(name: str) -> tuple[list[tuple[int, float, str]], bool]:
    """A sort key in which the balanced accuracy of the same answers follows an accuracy."""
    return natural(name.replace("balanced", "top1")), "balanced" in name


def natural(name: str) -> list[tuple[int, float, str]]:
    """A sort key in which ``@2`` comes before ``@13``, and ``@0.5`` after ``@0.25``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]
