"""What the devices of a pretraining allow: whether there are as many as are asked for, whether they can share a batch,
and whether its steps can be CUDA graphs."""

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


def check_graphs(training: TrainingSettings) -> None:
    """Raises UserError where steps cannot be CUDA graphs, whatever the method. Device and precision are resolved."""
    if not training.cuda_graphs:
        return
    if not training.device.startswith("cuda"):
        raise UserError(f"--cuda-graphs needs a GPU; the device is {training.device}")
    if training.devices > 1:
        raise UserError(f"--cuda-graphs: one device only; given: --devices {training.devices}")
    if training.precision == "fp16":
        raise UserError("--cuda-graphs with --precision fp16: allowed are the other precisions")
