"""Metrics of the usual forms: not measured, an accuracy, a mean over those images that have a value."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from sslbench import Metric


def unmeasured(names: Iterable[str], reason: str) -> list[Metric]:
    """One metric without a value for each name; ``reason`` is one line."""
    return [Metric(name, None, reason=reason) for name in names]


def accuracy(name: str, correct: Tensor) -> Metric:
    """The share of test images that are classified correctly, 0..1; ``correct`` float ``[N]``, 1 or 0 each."""
    return Metric(name, float(correct.double().mean()), per_image=correct)


def mean_over_images(name: str, values: Tensor, reason: str, *, higher_is_better: bool = True) -> Metric:
    """The mean over the images that have a value; ``values`` ``[N]``, NaN for the others. ``reason`` is why there is
    none where no image has one."""
    measured = values[values.isfinite()]
    if not len(measured):
        return Metric(name, None, higher_is_better=higher_is_better, reason=reason)
    per_image = values.cpu() if len(measured) == len(values) else None
    return Metric(name, float(measured.mean()), higher_is_better=higher_is_better, per_image=per_image)
