"""The published numbers of ``published.toml``, each with its protocol and its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from sslbench.report.defaults import LITERATURE
from sslbench.report.rows import Row


@dataclass(frozen=True)
class Published:
    """One number of the literature. What its source does not say is None or empty."""

    cite: str
    dataset: str
    evaluator: str
    protocol: str
    epoch: str
    """``last``, or ``best``: the largest of all epochs"""
    method: str
    network: str
    top1: float
    """percent"""
    epochs: int | None = None
    batch_size: int | None = None
    models: Sequence[str] = ()
    """of pretrained ones: what their names contain"""
    params: Mapping[str, Any] = field(default_factory=dict)
    """of the method"""
    evaluator_params: Mapping[str, Any] | None = None
    note: str | None = None

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether it is of the method of one of these rows, and of its data set or the common one."""
        same = [row for row in rows if row.name("method") == self.method]
        if self.models:
            words = [str(value) for row in same for value in row.params["method"].values()]
            return any(model in word for model in self.models for word in words)
        return bool(same) and self.dataset in {LITERATURE, *(row.name("dataset") for row in same)}


@cache
def published_numbers() -> tuple[Published, ...]:
    """Every number of the file with what its source says of all of them."""
    text = resources.files("sslbench.report.sections").joinpath("published.toml").read_text(encoding="utf-8")
    numbers = []
    for source in tomllib.loads(text)["source"]:
        shared = {key: value for key, value in source.items() if key != "numbers"}
        numbers += [Published(**shared, **own) for own in source["numbers"]]
    return tuple(numbers)
