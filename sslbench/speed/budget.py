"""The time of a suite: what a row will take, counted before it is built, and what is left for those that wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from sslbench.measure.comparison import LEAST_ROUNDS
from sslbench.measure.flops import step_flops_per_image
from sslbench.speed.rows import SpeedRow
from sslbench.speed.steps import build_row_method, some_masks

STATE_COPIES = 4
"""a parameter, its gradient, and AdamW's two moments"""
HALF = 0.5
"""of the ceiling: how fast a row is taken to be before any was measured"""
WARMING = 0.03
"""of a suite's time: how long one row may warm up beyond its first steps"""


@dataclass(frozen=True)
class Forecast:
    """What a row will take; None where that cannot be counted."""

    flops_per_image: float | None = None
    state_bytes: int | None = None
    """parameters, gradients and optimizer"""


def forecast(row: SpeedRow) -> Forecast:
    """Counted on the meta device. Whatever goes wrong here goes wrong, and is reported, when the row is built."""
    try:
        with torch.device("meta"):
            method = build_row_method(row, download=False)
        flops = step_flops_per_image(method, row.batch_size, some_masks(method, row), row.method.spec.uses_labels)
        return Forecast(flops, sum(p.numel() * p.element_size() for p in method.parameters()) * STATE_COPIES)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return Forecast()


class Budget:
    """Seconds of a suite, shared among its rows. Without a limit every row is affordable.

    ``seconds``: for the whole suite, from now on, or None; ``warmup``: steps of a row before the clock counts;
    ``ceilings``: precision -> floating-point operations per second that the device can do at most.
    """

    def __init__(self, seconds: float | None, warmup: int, ceilings: Mapping[str, float | None]) -> None:
        self.seconds, self.warmup, self.ceilings = seconds, warmup, ceilings
        self.waiting: list[SpeedRow] = []
        """rows that were not built yet"""
        self.rates: dict[str, float] = {}
        """precision -> floating-point operations per second, of the latest row"""
        self._forecasts: dict[str, Forecast] = {}
        self._began = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds, or None without a limit."""
        return None if self.seconds is None else self.seconds - (time.monotonic() - self._began)

    @property
    def warmup_seconds(self) -> float | None:
        """After how long a row need not become steady any more; None without a limit."""
        return None if self.seconds is None else WARMING * self.seconds

    def forecast(self, row: SpeedRow) -> Forecast:
        """What a row will take, counted once."""
        if row.key not in self._forecasts:
            self._forecasts[row.key] = forecast(row)
        return self._forecasts[row.key]

    def step_seconds(self, row: SpeedRow) -> float:
        """How long a step is expected to take: 0 where nothing is known."""
        ceiling = self.ceilings.get(row.precision)
        rate = self.rates.get(row.precision) or (HALF * ceiling if ceiling else None)
        flops = self.forecast(row).flops_per_image
        return 0.0 if rate is None or flops is None else flops * row.batch_size / rate

    def refusal(self, row: SpeedRow, round_seconds: float) -> str | None:
        """Why there is no time for a row, or None; it no longer waits. ``round_seconds``: see ``Preparation``."""
        if row in self.waiting:
            self.waiting.remove(row)
        left = self.left
        if left is None:
            return None
        cost = (self.warmup + 4 * LEAST_ROUNDS) * self.step_seconds(row) + 3 * LEAST_ROUNDS * round_seconds
        if cost <= left:
            return None
        return (
            f"left out: with what is not timed yet it takes about {max(1, round(cost))} s, and"
            f" {max(0.0, left):.0f} s of {self.seconds:g} are left (--seconds)"
        )

    def seconds_now(self) -> float | None:
        """How long the rows that are ready may be timed, so that those that wait have their turn."""
        left, passes = self.left, self.warmup + 3 * LEAST_ROUNDS
        return None if left is None else max(1.0, left - sum(passes * self.step_seconds(row) for row in self.waiting))
