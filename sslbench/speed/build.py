"""From a row to its training step, and what the row will take, counted before anything is built."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sslbench.contracts.method import Method, MethodSpec
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.measure.flops import step_flops_per_image
from sslbench.speed.row import SpeedRow
from sslbench.speed.suite import COMPILING
from sslbench.speed.synthetic_step import CLASSES, EPOCHS, SyntheticStep, synthetic_step
from sslbench.train.task import LoopSettings, StepTask, build_method

STATE_COPIES = 4
"""a parameter, its gradient, and AdamW's two moments"""


def build_step(
    row: SpeedRow, device: torch.device, batch_size: int | None = None, *, download: bool = False
) -> SyntheticStep:
    """The row's training step with its views, for the row's batch size or another.

    ``download``: whether the user allowed fetching what a plugin may need. Raises whatever keeps the plugins from being
    built.
    """
    spec, params = row.method.spec, row.method.params
    assert isinstance(spec, MethodSpec)
    assert isinstance(params, MethodParams)
    mode = COMPILING[row.compile]
    settings = LoopSettings(
        epochs=EPOCHS,
        batch_size=batch_size or row.batch_size,
        seed=0,
        device=device,
        precision=row.precision,
        compile=mode is not None,
        compile_mode=mode,
    )
    masking = row.masking.build(BuildContext()) if row.masking else None
    task = StepTask(
        method=build_row_method(row, download=download),
        params=params,
        masking=masking,
        mask_ratio=row.mask_ratio,
        labels=spec.uses_labels,
    )
    return synthetic_step(task, settings)


def build_row_method(row: SpeedRow, *, download: bool) -> Method:
    """The row's method on its backbone. Raises whatever the plugins raise."""
    context = BuildContext(row.image_size, classes=CLASSES, download=download, mask_ratio=row.mask_ratio)
    return build_method(row.method, row.backbone, context)


@dataclass(frozen=True)
class Forecast:
    """What a row will take; None where that cannot be counted."""

    flops_per_image: float | None = None
    state_bytes: int | None = None
    """parameters, gradients and optimizer"""


def forecast(row: SpeedRow) -> Forecast:
    """Counted on the meta device. Whatever goes wrong here goes wrong, and is reported, when the row is built."""
    try:
        with torch.device("meta"):
            method = build_row_method(row, download=False)
        labels = bool(getattr(row.method.spec, "uses_labels", False))
        flops = step_flops_per_image(method, row.batch_size, row.mask_ratio, labels)
        return Forecast(flops, sum(p.numel() * p.element_size() for p in method.parameters()) * STATE_COPIES)
    except Exception:
        return Forecast()


class Forecasts:
    """The forecast of each row, counted once."""

    def __init__(self) -> None:
        self._known: dict[str, Forecast] = {}

    def of(self, row: SpeedRow) -> Forecast:
        """Of one row."""
        if row.key not in self._known:
            self._known[row.key] = forecast(row)
        return self._known[row.key]
