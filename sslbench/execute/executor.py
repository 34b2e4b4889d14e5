"""The contract between the scheduler and whatever runs the work: this process, a pool, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class Evaluation:
    """One cell of a piece of work: the evaluator, and the record's fields that are known beforehand."""

    name: str
    params: Mapping[str, Any]
    template: Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """One pretraining and its evaluations, in plain values: it can be sent to any process that has the plugins."""

    key: str
    plugins: Mapping[str, Mapping[str, Any]]
    """kind -> {"name", "params"}"""
    seed: int
    training: Mapping[str, Any]
    mask_ratio: float | None
    evaluations: tuple[Evaluation, ...]
    out: str
    """results folder; artifacts are kept below it"""
    distributions: Mapping[str, str] = field(default_factory=dict)
    """name -> version of what brings the plugins"""
    download: bool = False
    fresh: bool = False
    """forget what an earlier run left of this pretraining"""
    curve: Mapping[str, Any] = field(default_factory=dict)
    """what to judge while it trains: {"every": epochs, "evaluators": [{"name", "params", "code"}]}; empty: nothing"""


@dataclass(frozen=True)
class Event:
    """What a worker says while it works.

    ``stage``: {"text"}; ``sight``: epoch, epochs, step, total_steps, loss, images_per_second;
    ``warning``: {"text"}; ``steps``: {"key", "step_ms"}; ``record``: one finished record.
    """

    kind: Literal["stage", "sight", "warning", "steps", "record"]
    facts: Mapping[str, Any]


Emit = Callable[[Event], None]


@runtime_checkable
class Handle(Protocol):
    """Work under way."""

    def wait(self) -> None:
        """Until it has ended; every event has been emitted by then. Raises what broke the worker itself."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Runs ``sslbench.run_work(work, emit)`` somewhere and carries its events back."""

    slots: int
    """pieces of work at a time"""

    def devices(self) -> tuple[str, ...]:
        """What it can run on, such as ``("cpu",)`` or ``("cuda:0", "cuda:1")``."""
        ...

    def submit(self, work: Work, emit: Emit) -> Handle:
        """Start the work. ``emit`` may be called from any thread, before or after this returns."""
        ...
