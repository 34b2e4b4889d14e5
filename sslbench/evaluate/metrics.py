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
    """As a record has it; a value that is not finite becomes None with a reason."""
    value, reason = metric.value, metric.reason
    if value is not None and not math.isfinite(value):
        value, reason = None, reason or f"the evaluator returned {value}"
    return MetricValue(
        None if value is None else float(value),
        metric.unit,
        metric.higher_is_better,
        finite(metric.std),
        metric.n,
        reason or None,
    )


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def per_image(metrics: Iterable[Metric]) -> dict[str, Tensor]:
    """Metric -> ``[N]``, for those that know it: uint8 where every image is right (1) or wrong (0), else float16."""
    found = {}
    for metric in metrics:
        if metric.per_image is not None and metric.value is not None:
            values = metric.per_image.detach().cpu().float()
            binary = bool(((values == 0) | (values == 1)).all())
            found[metric.name] = values.to(torch.uint8 if binary else torch.float16)
    return found


def save_per_image(path: Path, metrics: Iterable[Metric]) -> None:
    """Keep ``per_image`` of a cell's metrics, if any knows it. Raises OSError where it cannot be written."""
    found = per_image(metrics)
    if found:
        save_tensors(path, found, {})
    else:
        path.unlink(missing_ok=True)
