"""The plugins of one pretraining, built from their choices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sslbench.contracts.dataset import Dataset
from sslbench.contracts.method import Method
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.plan.cell import Choice
from sslbench.train.randomness import seed_everything

_LAST_DATASET: dict[tuple[str, str, bool], Dataset | SslbenchError] = {}


def build_method(method: Choice[Any], backbone: Choice[Any] | None, context: BuildContext) -> Method:
    """The method on its backbone, initialised from the seed of the context. Raises whatever the plugins raise."""
    seed_everything(context.seed, "init")
    network = backbone.build(context) if backbone else None
    built: Method = method.build(replace(context, backbone=network))
    return built


def build_dataset(choice: Choice[Any], download: bool) -> Dataset:
    """The data set, read once and kept for the next pretraining; a failure to read it is kept as well."""
    key = (choice.name, repr(sorted(choice.values.items())), download)
    if key not in _LAST_DATASET:
        _LAST_DATASET.clear()
        try:
            _LAST_DATASET[key] = choice.build(BuildContext(download=download))
        except SslbenchError as error:
            _LAST_DATASET[key] = error
    kept = _LAST_DATASET[key]
    if isinstance(kept, SslbenchError):
        raise kept
    return kept
