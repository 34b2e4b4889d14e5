"""Runs each pretraining as a task of Ray, on whichever node of a cluster has room for it."""

from __future__ import annotations

from sslbench import BuildContext, ExecutorSpec, UserError, hookimpl
from sslbench_plugins.executors.ray.connection import Connection
from sslbench_plugins.executors.ray.executor import Ray
from sslbench_plugins.executors.ray.needs import RayParams


def build(params: RayParams, context: BuildContext) -> Ray:
    """Raises UserError where Ray is not installed, no cluster answers, or a task would lack what it needs."""
    device, gpus, devices = context.device, params.gpus, context.devices
    if device.startswith("cuda:"):
        allowed = "auto, cpu, cuda"
        raise UserError(f"device {device}: Ray decides which GPU a task gets; allowed with executor 'ray': {allowed}")
    if device == "cuda" and gpus == 0:
        raise UserError("device cuda: executor 'ray' asks for no GPU; give it gpus=1 or more")
    if gpus and gpus > 1 and gpus != int(gpus):
        raise UserError(f"executor 'ray': gpus = {gpus:g}: allowed are whole numbers, or a part of one GPU below 1")
    if gpus and device != "cpu" and gpus < devices:
        raise UserError(
            f"devices = {devices}: executor 'ray' asks for gpus = {gpus:g}; leave it out, or give {devices}"
        )
    return Ray(params, device, devices, Connection.to(params.address))


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="ray", build=build, params=RayParams)]
