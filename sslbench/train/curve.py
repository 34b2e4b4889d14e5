"""Evaluating a method while it trains, without leaving a trace in the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sslbench.store.record import CurvePoint, MetricValue


@dataclass
class Curve:
    """Metrics of a method over its training: evaluated after every n-th epoch and after the last."""

    every: int
    """epochs from one evaluation to the next, >= 1"""
    evaluate: Callable[[], Mapping[str, MetricValue]]
    """evaluates the method as it is now"""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """the settings, JSON-able: a checkpoint with points of other settings is not continued"""
    points: list[CurvePoint] = field(default_factory=list)
    seconds: float = 0.0
    """spent on evaluation, which is no part of the training's time"""

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether to evaluate when ``epoch`` of ``epochs``, counted from 1, has ended."""
        return epoch % self.every == 0 or epoch == epochs

    def add(self, method: nn.Module, device: torch.device, epoch: int, loss: float) -> CurvePoint:
        """Evaluate ``method`` and add a point, which is returned; ``loss`` is the mean of the epoch."""
        begin = time.perf_counter()
        with state_preserved(method, device):
            metrics = dict(self.evaluate())
        self.seconds += time.perf_counter() - begin
        self.points.append(CurvePoint(epoch, loss, metrics))
        return self.points[-1]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, JSON-able."""
        return {"asked": dict(self.asked), "points": [p.to_json() for p in self.points], "seconds": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state`` returned. Raises DamagedRecord where a point is not one."""
        self.points = [CurvePoint.from_json(point) for point in state["points"]]
        self.seconds = state["seconds"]


@contextmanager
def state_preserved(method: nn.Module, device: torch.device) -> Iterator[None]:
    """Restores the modes of all modules and torch's random generators, whatever is done within."""
    modes = [(module, module.training) for module in method.modules()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            if device.type == "cuda":
                torch.cuda.synchronize(device)
