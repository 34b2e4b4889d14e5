"""Where training stands, for a step that is captured in a CUDA graph: what it takes from there is noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.method import Progress, Value
from sslbench.errors import UserError

EVERY_STEP = ("step", "fraction")
"""attributes that change with every step"""


class GraphProgress(Progress):
    """The progress of the step that is computed or captured now.

    Numbers that the step is given anew lie on the device, where a graph reads them. Of all else it is known which
    values were taken, so that a graph is not repeated where they have changed.
    """

    _at: Progress
    _capturing: bool
    _numbers: Tensor
    _schedules: list[Callable[[Progress], float]]
    _read: dict[str, Any]
    _decisions: list[tuple[Callable[[Progress], Any], Any]]

    def __init__(self, numbers: Tensor) -> None:
        """``numbers``: float64 ``[n]`` on the device, a place for each number that a step may ask for."""
        self._keep(_numbers=numbers, _schedules=[], _read={}, _decisions=[])

    def _keep(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def begin(self, at: Progress, *, capturing: bool) -> None:
        """The next step is computed, or only captured, ``at`` this place; what an earlier one took is forgotten."""
        self._keep(_at=at, _capturing=capturing, _schedules=[], _read={}, _decisions=[])

    def numbers_at(self, at: Progress) -> list[float]:
        """What the captured step has to be given."""
        return [number(at) for number in self._schedules]

    def unchanged(self, at: Progress) -> bool:
        """Whether the step would take the same decisions there. True of a step that was not taken yet."""
        same = all(getattr(at, name) == value for name, value in self._read.items())
        return same and all(value(at) == taken for value, taken in self._decisions)

    def check(self, method: str) -> None:
        """Raises UserError for a method that would have to be captured anew in every step."""
        found = [name for name in EVERY_STEP if name in self._read]
        if found:
            allowed = "allowed: progress.scheduled(...) or progress.decision(...), as Progress says"
            raise UserError(f"cuda_graphs: {method} reads progress.{found[0]}, which changes at every step; {allowed}")

    def _note(self, name: str) -> Any:
        value = getattr(self._at, name)
        self._read[name] = value
        return value

    def scheduled(self, number: Callable[[Progress], float]) -> float | Tensor:
        place = len(self._schedules)
        if place == len(self._numbers):
            raise UserError(f"cuda_graphs: more than {place} scheduled numbers in one step")
        self._schedules.append(number)
        if not self._capturing:
            self._numbers[place].fill_(number(self._at))
        return self._numbers[place]

    def decision(self, value: Callable[[Progress], Value]) -> Value:
        taken = value(self._at)
        self._decisions.append((value, taken))
        return taken

    # Each of these is noted.
    @property
    def step(self) -> int:
        return int(self._note("step"))

    @property
    def total_steps(self) -> int:
        return int(self._note("total_steps"))

    @property
    def epoch(self) -> int:
        return int(self._note("epoch"))

    @property
    def epochs(self) -> int:
        return int(self._note("epochs"))

    @property
    def fraction(self) -> float:
        return float(self._note("fraction"))


def outside_graphs() -> None:
    """From now on a compiled method leaves its graph for what it takes from here, and comes back."""
    if not hasattr(GraphProgress.decision, "_torchdynamo_disable"):
        for name in ("scheduled", "decision", "_note"):
            setattr(GraphProgress, name, torch.compiler.disable(getattr(GraphProgress, name)))  # type: ignore[no-untyped-call]
