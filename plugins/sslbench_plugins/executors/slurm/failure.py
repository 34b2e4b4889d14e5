"""Why a job ended before its work did: what SLURM knows of it and what its log says, in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from sslbench import Failure, signal_name
from sslbench_plugins.executors.slurm.cluster import JobEnd
from sslbench_plugins.executors.slurm.params import SlurmParams

LINES, LONGEST = 20, 100
"""lines of the log, and characters of its last one in a reason"""
NO_LOG = 53
"""the signal in the exit code of a job whose log could not be opened"""
ENDINGS = {
    "NODE_FAIL": "its node {node} failed",
    "BOOT_FAIL": "its node {node} did not boot",
    "PREEMPTED": "it was preempted and not put into the queue again",
    "REVOKED": "another cluster took it",
}


def failure_of(job: str, end: JobEnd, params: SlurmParams, log: Path, began: bool) -> Failure:
    """Of a job that left no ``Ended``; ``began``: its worker reported something."""
    detail = tail(log)
    kind, text = cause(job, end, params, detail)
    if not began and not shared(end, log, detail):
        where = f"node {end.node}" if end.node else "its node"
        text = f"{where} of job {job} does not see {log.parent.parent}: --out must be a folder that all nodes share"
        return Failure(f"refused: {text}", "refused", detail)
    said = f"; log: {log}" if log.exists() else "; it left no log"
    before = "" if kind in ("timeout", "cancelled") else "lost: "
    return Failure(f"{before}{text}{said}", kind, detail)


Kind = Literal["lost", "timeout", "cancelled"]


def cause(job: str, end: JobEnd, params: SlurmParams, detail: str) -> tuple[Kind, str]:
    """What kind of end it was, and in words."""
    if end.state in ("TIMEOUT", "DEADLINE"):
        own = f"the time of its partition, {end.limit}".rstrip(", ")
        limit = f"its time of {params.time} minutes" if params.time else own
        return "timeout", f"job {job} exceeded {limit} (time)"
    if end.state == "CANCELLED":
        return "cancelled", f"job {job} was cancelled by hand (scancel)"
    if end.state == "OUT_OF_MEMORY" or "oom-kill" in detail.lower():
        given = f"memory={params.memory:g} GB" if params.memory else "memory is not given"
        return "lost", f"job {job} ran out of memory ({given})"
    if end.state in ENDINGS:
        return "lost", f"job {job}: {ENDINGS[end.state].format(node=end.node)}"
    if not end.state:
        return "lost", f"job {job} is no longer in the queue and its heartbeat has stopped"
    number = end.signal or max(0, end.code - 128)
    if number:
        return "lost", f"job {job} was killed ({signal_name(number)})"
    if end.code:
        last = f": {detail.splitlines()[-1][:LONGEST]}" if detail else ""
        return "lost", f"job {job} ended with exit code {end.code}{last}"
    return "lost", f"job {job} ended ({end.state.lower()}) and its work did not"


def shared(end: JobEnd, log: Path, detail: str) -> bool:
    """False where the node that a job began on could not write to, or read from, the results folder."""
    if end.signal == NO_LOG and not log.exists():
        return False
    return f"No such file or directory: '{log.parent}" not in detail


def tail(path: Path) -> str:
    """The last lines of a file; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-LINES:])
    except OSError:
        return ""
