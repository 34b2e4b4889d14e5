"""Judging a method while it trains, without leaving a trace in the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass
class Curve:
    """What became of a training, epoch by epoch: judged after every n-th epoch and after the last."""

    every: int
    """epochs from one judging to the next, >= 1"""
    judge: Callable[[], Mapping[str, Any]]
    """judges the method as it is now: metrics by name, as a record has them"""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able, what tells this curve from one of other settings: points of another are not continued"""
    points: list[dict[str, Any]] = field(default_factory=list)
    """``epoch`` (from 1), ``loss`` (mean of the epoch), ``metrics``"""
    seconds: float = 0.0
    """spent on judging, which is no part of the training's time"""

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether to judge when ``epoch`` of ``epochs``, counted from 1, has ended."""
        return epoch % self.every == 0 or epoch == epochs

    def add(self, method: nn.Module, device: torch.device, epoch: int, loss: float) -> float:
        """Judge ``method`` and add a point. Answers the seconds that it took."""
        begin = time.perf_counter()
        with as_it_was(method, device):
            metrics = dict(self.judge())
        took = time.perf_counter() - begin
        self.points.append({"epoch": epoch, "loss": loss, "metrics": metrics})
        self.seconds += took
        return took

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"asked": dict(self.asked), "points": self.points, "seconds": self.seconds}

    def restore(self, facts: Mapping[str, Any]) -> None:
        self.points, self.seconds = list(facts["points"]), facts["seconds"]


@contextmanager
def as_it_was(method: nn.Module, device: torch.device) -> Iterator[None]:
    """Modes of all modules and torch's random generators are the same afterwards, whatever is done within."""
    modes = [(module, module.training) for module in method.modules()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            if device.type == "cuda":
                torch.cuda.synchronize(device)
