"""Numbers of the literature beside those measured: clearly apart, each with its protocol and what differs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from sslbench.report.metric_columns import PROBES
from sslbench.report.numbers import NOTHING
from sslbench.report.rows import Row, assigned
from sslbench.report.text import Column, Section
from sslbench.report.view import View

FILE = Path(__file__).parents[1] / "published.toml"
LITERATURE = "imagenet"
"""the data set of the literature, shown beside whatever was measured"""
Source = tuple[str | None, str | None]
"""source and note"""
IN_WORDS = {
    "dataset": "data set",
    "network": "network",
    "evaluator": "evaluator",
    "epochs": "epochs",
    "batch_size": "batch",
    "epoch": "which epoch",
}
"""what is held against the source, in words"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measured or published number. What a source does not say is None or empty."""

    origin: str = "published"
    """or ``measured``"""
    method: str
    dataset: str
    network: str | None
    evaluator: str
    evaluator_params: Mapping[str, Any] | None = None
    protocol: str
    epochs: int | None = None
    batch_size: int | None = None
    epoch: str
    """``last``, or ``best``: the largest of all epochs"""
    top1: float
    """percent"""
    std: float | None = None
    seeds: int | None = None
    differs: list[str] = field(default_factory=list)
    source: str | None = None
    note: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    models: Sequence[str] = ()
    """of pretrained ones: what their names contain"""

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether it is of the method of one of these rows, and of its data set or the common one."""
        same = [row for row in rows if row.name("method") == self.method]
        if self.models:
            words = [str(value) for row in same for value in row.params["method"].values()]
            return any(model in word for model in self.models for word in words)
        return bool(same) and self.dataset in {LITERATURE, *(row.name("dataset") for row in same)}


@cache
def published_numbers() -> tuple[Line, ...]:
    """Every number of the file with what its source says of all of them."""
    lines = []
    for publication in tomllib.loads(FILE.read_text(encoding="utf-8"))["publication"]:
        shared = {key: value for key, value in publication.items() if key != "numbers"}
        lines += [Line(**shared, **own) for own in publication["numbers"]]
    return tuple(lines)


def published(view: View) -> Section:
    """For each method with a published number: what was measured here, then what was published."""
    lines: list[Line] = []
    for rows in view.by_method(view.order).values():
        recipes = [view.aggregate.recipes[row].row for row in rows]
        numbers = [number for number in published_numbers() if number.applies(recipes)]
        if numbers:
            measured = [line for row in rows for line in measured_lines(view, row)]
            lines += measured
            lines += [with_differences(number, measured) for number in numbers]
    if not lines:
        known = ", ".join(dict.fromkeys(number.method for number in published_numbers()))
        return Section(f"published numbers: none for these methods (there are some for {known})")
    title = "published numbers beside measured ones: not the same experiment, and not to be ranked together"
    sources = list(dict.fromkeys((line.source, line.note) for line in lines if line.source))
    # The method's parameters are in its name.
    facts = [{key: value for key, value in vars(line).items() if key not in ("params", "models")} for line in lines]
    return Section(title, facts, columns_of(lines, sources), notes(lines, sources))


def measured_lines(view: View, row: int) -> Iterator[Line]:
    """A line for each metric of a probe of a recipe."""
    recipe = view.aggregate.recipes[row]
    training = recipe.row.params["training"]
    for metric in view.aggregate.metrics:
        sample = next(iter(recipe.samples.get(metric.label, {}).values()), None)
        estimate = recipe.metrics[metric.label]
        if sample is None or estimate.mean is None or sample.evaluator_name not in PROBES:
            continue
        yield Line(
            origin="measured",
            method=view.names.of_kind["method"][row],
            dataset=recipe.row.name("dataset"),
            network=recipe.row.name("backbone") or None,
            evaluator=sample.evaluator_name,
            evaluator_params=dict(sample.evaluator_params),
            protocol=assigned(sample.evaluator_params, sample.evaluator_params),
            epochs=training.get("epochs"),
            batch_size=training.get("batch_size"),
            epoch="last",
            top1=100 * estimate.mean,
            std=None if estimate.std is None else 100 * estimate.std,
            seeds=estimate.n,
            params=recipe.row.params["method"],
        )


def with_differences(number: Line, measured: Sequence[Line]) -> Line:
    """A published number with what differs from the measured line of the same evaluator that is nearest."""
    differences = [differing(number, line) for line in measured if line.evaluator == number.evaluator]
    settings = assigned(number.params, number.params)
    method = f"{number.method} ({settings})" if settings else number.method
    return replace(number, method=method, differs=min(differences, key=len, default=["not measured here"]))


def differing(number: Line, line: Line) -> list[str]:
    """In what a published number differs from a measured one, as far as its source says."""
    known = {name: getattr(number, name) for name in IN_WORDS if getattr(number, name) is not None}
    names = [IN_WORDS[name] for name, value in known.items() if value != getattr(line, name)]
    for published_params, params in ((number.evaluator_params, line.evaluator_params), (number.params, line.params)):
        names += [key for key, value in (published_params or {}).items() if (params or {}).get(key) != value]
    return names


def columns_of(lines: Sequence[Line], sources: Sequence[Source]) -> list[Column]:
    """The lines as a person reads them."""

    def origin(line: Line) -> str:
        return line.origin if line.source is None else f"{line.origin} [{sources.index((line.source, line.note)) + 1}]"

    def top1(line: Line) -> str:
        return f"{line.top1:.1f}" if line.std is None else f"{line.top1:.1f} ± {line.std:.1f}"

    return [
        Column("method", [line.method for line in lines]),
        Column("origin", [origin(line) for line in lines], rank=1),
        Column("data set", [line.dataset for line in lines], rank=2),
        Column("network", [line.network or NOTHING for line in lines], rank=4),
        Column("evaluator", [line.evaluator for line in lines], rank=3),
        Column("epochs", [str(line.epochs or NOTHING) for line in lines], number=True, rank=6),
        Column("batch", [str(line.batch_size or NOTHING) for line in lines], number=True, rank=7),
        Column("epoch", [line.epoch for line in lines], rank=8),
        Column("top-1 %", [top1(line) for line in lines], number=True),
        Column("differs in", [", ".join(line.differs) for line in lines], rank=5),
    ]


def notes(lines: Sequence[Line], sources: Sequence[Source]) -> list[str]:
    """How to read it, then a line for each source."""
    text = [
        "measured: this folder; epoch: which one was evaluated; differs in: of what a source says, against the measured"
        " line of the same evaluator that is nearest",
    ]
    for number, (source, note) in enumerate(sources, 1):
        protocols = dict.fromkeys(line.protocol for line in lines if (line.source, line.note) == (source, note))
        text.append(f"[{number}] {source}: {'; '.join(protocols)}{f'. {note}' if note else ''}")
    return text
