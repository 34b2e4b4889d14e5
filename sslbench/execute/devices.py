"""Several devices for one pretraining: whether there are as many, and whether they can share a batch."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError


def check_devices(training: TrainingSettings, offered: Sequence[str]) -> None:
    """``offered``: what an executor runs on, as its ``devices`` say. Raises UserError where a pretraining cannot be
    shared by as many devices as are asked for."""
    devices, device, batch, parts = training.devices, training.device, training.batch_size, training.accumulate
    if devices == 1:
        return
    if batch % (devices * parts):
        each = f"{devices} devices" + (f" x {parts} parts (accumulate)" if parts > 1 else "")
        raise UserError(f"--devices {devices}: batch_size = {batch} has no equal share for {each}")
    if ":" in device:
        raise UserError(f"--devices {devices} with --device {device}: one device is named; allowed: --device cuda")
    gpus = sum(name.startswith("cuda:") for name in offered)
    if device == "cuda" and "cuda" not in offered and 0 < gpus < devices:
        raise UserError(f"--devices {devices}: there are {gpus} GPU(s) here; allowed: 1 to {gpus}, or --device cpu")
