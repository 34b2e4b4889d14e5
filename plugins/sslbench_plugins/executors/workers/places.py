"""Where worker processes run: on which device, and with which environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sslbench import UserError

THREADS, VISIBLE = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Place:
    """What one worker process has for itself."""

    device: str
    """as the worker sees it: ``cpu`` or ``cuda``"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """what differs from the environment of this process"""
    at_once: int = 1
    """workers that share the device, this one included"""


@dataclass(frozen=True)
class Machine:
    """What there is to deal out."""

    gpus: tuple[str, ...]
    """a name of each, as CUDA_VISIBLE_DEVICES takes it"""
    cores: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls, device: str) -> Machine:
        """This machine. GPUs are counted, without a context of CUDA on any, unless only the CPU is asked for."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        count = 0
        if device != "cpu":
            import torch

            count = torch.cuda.device_count()
        return cls(gpu_names(count, os.environ.get(VISIBLE)), cores, os.environ)


def gpu_names(count: int, visible: str | None) -> tuple[str, ...]:
    """A name of each of ``count`` GPUs: those that are visible here, which may be numbers or ``GPU-...``."""
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    return tuple(names[:count]) if len(names) >= count else tuple(map(str, range(count)))


def devices_asked(device: str, machine: Machine) -> tuple[str, ...]:
    """What work may run on: ``("cpu",)``, or ``cuda:N`` of each GPU that is asked for."""
    every = tuple(f"cuda:{index}" for index in range(len(machine.gpus)))
    if device in every:
        return (device,)
    return every if every and device in ("auto", "cuda") else ("cpu",)


def places(device: str, devices: int, slots: int | None, machine: Machine) -> tuple[Place, ...]:
    """One place for each worker: of a CPU, or of ``devices`` GPUs. ``slots`` None: as many as there are devices for.
    Raises UserError where one worker needs more GPUs than there are."""
    asked = devices_asked(device, machine)
    if asked == ("cpu",):
        count = slots or 1
        return tuple(Place("cpu", threads(count, machine), count) for _ in range(count))
    gpus = [machine.gpus[int(name.partition(":")[2])] for name in asked]
    if devices > len(gpus):
        there = f"{len(gpus)} GPU(s): {', '.join(asked)}"
        raise UserError(f"devices = {devices} with device {device!r}: executor 'workers' has {there}")
    groups = dealt(gpus, devices)
    count = slots or len(groups)
    shared = threads(count, machine)
    most = -(-count // len(groups))
    return tuple(Place("cuda", {VISIBLE: groups[number % len(groups)], **shared}, most) for number in range(count))


def dealt(gpus: Sequence[str], each: int) -> list[str]:
    """The GPUs in groups of ``each``; those that are left over are not used."""
    return [",".join(gpus[start : start + each]) for start in range(0, len(gpus) - each + 1, each)]


def threads(workers: int, machine: Machine) -> dict[str, str]:
    """Threads of each of several workers; what the user set stays, and a single worker has them all."""
    if workers == 1 or machine.environment.get(THREADS):
        return {}
    return {THREADS: str(max(1, machine.cores // workers))}
