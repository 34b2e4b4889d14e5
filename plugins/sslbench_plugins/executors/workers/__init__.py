"""A worker process for each device, kept for the next pretraining: one that dies or hangs costs one cell."""

from __future__ import annotations

from sslbench import BuildContext, ExecutorSpec, Params, hookimpl, param
from sslbench_plugins.executors.workers.places import Machine, devices_asked, places
from sslbench_plugins.executors.workers.pool import Workers


class WorkersParams(Params):
    """How many processes there are."""

    slots: int | None = param(None, "pretrainings at a time; default: one on a CPU, else one for each GPU", ge=1)


def build(params: WorkersParams, context: BuildContext) -> Workers:
    """The pool; its processes are started with the first work. Raises UserError for more devices than there are."""
    machine = Machine.here(context.device)
    there = places(context.device, context.devices, params.slots, machine)
    return Workers(there, devices_asked(context.device, machine))


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="workers", params=WorkersParams, build=build)]
