"""What a job asks SLURM for, and the options of sbatch that say so."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from sslbench import Params, param


def one_or_more(value: Any) -> Any:
    """A single text is a list of one."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_more)]


class SlurmParams(Params):
    """What a job asks for, what it does first, and how it is followed."""

    partition: str = param("", "partition of the jobs; empty: the cluster's default")
    time: int = param(0, "time limit of a job; 0: the partition's", ge=0, le=1_000_000, unit="minutes")
    gpus: int = param(0, "GPUs of a job, on one node; 0: it runs on the CPU", ge=0, le=64)
    cpus: int = param(0, "cores of a job; 0: the cluster's default", ge=0, le=4096)
    memory: float = param(0.0, "memory of a job; 0: the cluster's default", ge=0, le=100_000, unit="GB")
    account: str = param("", "account that is charged; empty: yours")
    qos: str = param("", "quality of service; empty: the default")
    constraint: str = param("", "features that a node must have, such as `a100`")
    options: Texts = param((), "any other options of sbatch, such as `--reservation=NAME`")
    modules: Texts = param((), "environment modules to load in the job, such as `cuda/12.4`")
    setup: Texts = param((), "lines of shell that a job runs first")
    python: str = param("", "Python with sslbench and the plugins on the nodes; empty: the one that runs now")
    jobs: int = param(64, "jobs in the queue or running at a time", ge=1, le=100_000)
    array: bool = param(False, "make one array of the jobs that are submitted together")
    heartbeat: float = param(30.0, "seconds between two signs of life of a job", ge=0.1, le=3600, unit="s")
    poll: float = param(10.0, "seconds between two looks at the queue", ge=0.1, le=3600, unit="s")


def options_of(params: SlurmParams, devices: int) -> list[str]:
    """Of sbatch, for a job that trains on ``devices`` devices."""
    gpus = max(params.gpus, devices) if params.gpus else 0
    cpus = max(params.cpus, devices) if params.cpus or devices > 1 else 0
    asked = {
        "partition": params.partition,
        "time": params.time,
        "gres": f"gpu:{gpus}" if gpus else "",
        "cpus-per-task": cpus,
        "mem": f"{round(params.memory * 1024)}M" if params.memory else "",
        "account": params.account,
        "qos": params.qos,
        "constraint": params.constraint,
    }
    return [*(f"--{name}={value}" for name, value in asked.items() if value), *params.options]


def script_of(params: SlurmParams, works: Sequence[Path], devices: int = 1) -> str:
    """The batch script of one job, or of an array with one job for each piece of work."""
    python = params.python or sys.executable
    lines = ["#!/bin/bash"]
    if params.modules:
        lines.append("type module > /dev/null 2>&1 || . /etc/profile")
        lines += [f"module load {shlex.quote(name)} || exit 1" for name in params.modules]
    lines += params.setup
    if params.cpus:
        lines.append(f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{max(1, params.cpus // devices)}}}")
    command = f"exec {shlex.quote(python)} -m sslbench.execute.by_file --heartbeat {params.heartbeat:g}"
    files = [shlex.quote(str(path)) for path in works]
    if len(files) == 1:  # an outer job's SLURM_ARRAY_TASK_ID may be in the environment
        return "\n".join([*lines, f"{command} {files[0]}"]) + "\n"
    lines.append(f"works=({' '.join(files)})")
    return "\n".join([*lines, f'{command} "${{works[$SLURM_ARRAY_TASK_ID]}}"']) + "\n"
