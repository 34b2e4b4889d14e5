"""What an evaluator measured, as a record has it; and its value on each image, beside the record."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from sslbench.contracts.evaluator import Metric
from sslbench.store.record import MetricValue
from sslbench.train.checkpoint import save_tensors


def metric_value(metric: Metric) -> MetricValue:
    """The metric as a record has it, in Python's own types; a value that is not finite becomes None with a reason."""
    value, reason = finite(metric.value), metric.reason
    if value is None and metric.value is not None:
        reason = reason or f"the evaluator returned {metric.value}"
    n = None if metric.n is None else int(metric.n)
    return MetricValue(value, metric.unit, metric.higher_is_better, finite(metric.std), n, reason or None)


def finite(value: float | None) -> float | None:
    """``value`` as a Python float, None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def per_image(metrics: Iterable[Metric]) -> dict[str, Tensor]:
    """Metric -> ``[N]``, for those that know it: uint8 where every image is right (1) or wrong (0), else float16."""
    tensors = {}
    for metric in metrics:
        if metric.per_image is not None and metric.value is not None:
            values = metric.per_image.detach().cpu().float()
            binary = bool(((values == 0) | (values == 1)).all())
            tensors[metric.name] = values.to(torch.uint8 if binary else torch.float16)
    return tensors


def save_per_image(path: Path, metrics: Iterable[Metric]) -> None:
    """Store ``per_image`` of a cell's metrics, if any has it. Raises OSError where it cannot be written."""
    tensors = per_image(metrics)
    if tensors:
        save_tensors(path, tensors, {})
    else:
        path.unlink(missing_ok=True)
