"""What a task asks Ray for, and how many of them a cluster has room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sslbench import Params, param

GB = 10**9
Resources = Mapping[str, float]
"""of one node, as Ray names them: CPU, GPU, memory (bytes)"""


class RayParams(Params):
    """Which cluster, and what each task takes of it."""

    address: str = param(
        "auto", "the cluster: auto (RAY_ADDRESS, or the one of this machine), HOST:PORT, or local (a new one, here)"
    )
    gpus: float | None = param(None, "GPUs of a task; null: as many as it trains on; 0: none", ge=0, le=64)
    cpus: int = param(0, "cores of a task; 0: a GPU's share of its node, or 1 for each device", ge=0, le=4096)
    memory: float = param(0.0, "memory that a task needs; 0: it is not counted", ge=0, le=100_000, unit="GB")
    slots: int = param(0, "tasks at a time; 0: as many as the cluster has room for at the start", ge=0, le=100_000)
    shared: Literal["auto", "true", "false"] = param(
        "auto", "whether the nodes see the results folder under the same path; auto: each looks"
    )


@dataclass(frozen=True)
class Needs:
    """What one task asks for."""

    gpus: float
    cpus: int
    memory: int
    """bytes"""

    @classmethod
    def of(cls, params: RayParams, gpus: float, devices: int, nodes: Sequence[Resources]) -> Needs:
        """With ``gpus`` GPUs; cores that are not given are a GPU's share of those of its node, the smallest such, and
        one or more for each device."""
        shares = [node.get("CPU", 0) * gpus / node["GPU"] for node in nodes if node.get("GPU", 0) >= gpus > 0]
        cpus = params.cpus or max(devices, int(min(shares, default=1)))
        return cls(gpus, cpus, round(params.memory * GB))

    def options(self) -> dict[str, Any]:
        """As Ray takes them."""
        gpus = int(self.gpus) if self.gpus == int(self.gpus) else self.gpus
        memory = {"memory": self.memory} if self.memory else {}
        return {"num_gpus": gpus, "num_cpus": self.cpus, **memory}

    def room(self, nodes: Sequence[Resources]) -> int:
        """Tasks that all nodes have room for at a time."""
        asked = {"GPU": self.gpus, "CPU": self.cpus, "memory": self.memory}
        wanted = {name: amount for name, amount in asked.items() if amount}
        return sum(int(min(node.get(name, 0) / amount for name, amount in wanted.items())) for node in nodes)

    def at_once(self, nodes: Sequence[Resources], slots: int) -> int:
        """Tasks that may share a device: those of one GPU, or of the CPU of one node."""
        if self.gpus:
            return max(1, int(1 / self.gpus))
        return max(1, min(slots, max((self.room([node]) for node in nodes), default=1)))

    def in_words(self) -> str:
        """Such as ``1 GPU, 4 CPU, 8 GB``."""
        gpus = f"{self.gpus:g} GPU, " if self.gpus else ""
        return f"{gpus}{self.cpus} CPU" + (f", {self.memory / GB:g} GB" if self.memory else "")


def largest(nodes: Sequence[Resources]) -> str:
    """What the nodes have at most, in words."""
    if not nodes:
        return "no node"
    return ", ".join(f"{max(node.get(name, 0) for node in nodes):g} {name}" for name in ("GPU", "CPU"))
