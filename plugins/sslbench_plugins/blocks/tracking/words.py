"""The names and values under which trackers keep what a run reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sslbench import EpochEnded, ObservedPretraining

COST = ("seconds", "images_per_second", "step_ms_median", "peak_memory_bytes", "flops_per_image")
"""facts of a training"""
LOSS, SECONDS = "training/loss", "cost/seconds"
"""what every epoch and every cost has"""


def parameters(pretraining: ObservedPretraining) -> dict[str, Any]:
    """``method`` and ``method.temperature``, ``seed``, ``training.epochs``: everything that it is made with."""
    flat: dict[str, Any] = {}
    for kind, plugin in sorted(pretraining.plugins.items()):
        flat[kind] = plugin.name
        flat |= {f"{kind}.{name}": value for name, value in plugin.params.items()}
    flat["seed"] = pretraining.seed
    if pretraining.mask_ratio is not None:
        flat["mask_ratio"] = pretraining.mask_ratio
    return flat | {f"training.{name}": value for name, value in pretraining.settings.items()}


def of_epoch(epoch: EpochEnded) -> dict[str, float]:
    """``training/loss`` and what else is known of an epoch, ``curve/knn/knn_top1``."""
    own = {"loss": epoch.loss, "learning_rate": epoch.learning_rate, "images_per_second": epoch.images_per_second}
    training = {f"training/{name}": value for name, value in {**own, **epoch.scalars}.items()}
    return known(training | {f"curve/{name}": value for name, value in epoch.metrics.items()})


def of_record(evaluator: str, record: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """``final/knn/knn_top1`` of a cell, and ``cost/images_per_second`` of its training, which other cells share."""
    final = {f"final/{evaluator}/{name}": metric["value"] for name, metric in record["metrics"].items()}
    facts = record["pretraining"] or {}
    return known(final), known({f"cost/{name}": facts.get(name) for name in COST})


def known(values: Mapping[str, float | None]) -> dict[str, float]:
    """Those that were measured."""
    return {name: value for name, value in values.items() if value is not None}


def counts(statuses: Mapping[str, int]) -> str:
    """``2 done, 1 failed``."""
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
