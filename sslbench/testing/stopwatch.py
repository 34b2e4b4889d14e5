"""Measure a step for the fixture ``sslbench_speed``: alone, or in turn with a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sslbench.errors import UserError
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.comparison import compare_until_sure
from sslbench.measure.machine import resolve_device, torch_facts
from sslbench.measure.timing import Arm, Timing, measure_steps
from sslbench.statistics.intervals import Interval
from sslbench.store.provenance import machine_facts
from sslbench.testing.speed import Rate, Speed

STEPS = 500
"""of a step without a baseline, where they fit into the time"""


@dataclass(frozen=True)
class StepUnderTest:
    """A step as a test defines it."""

    step: Callable[[], Any]
    images: int
    """source images of a call"""
    parameters: Sequence[Tensor] | None = None
    """what a call must change, where it trains"""

    def arm(self, device: torch.device) -> Arm:
        """The same, to be timed on a device."""
        return Arm(self.step, self.images, self.parameters, device=device)

    def device(self, name: str | None) -> torch.device:
        """Where it computes: on the device of that ``name``, else where its parameters are, else on the GPU where there
        is one. Raises UserError for a device that is not there."""
        if name is None and self.parameters:
            return self.parameters[0].device
        return torch.device(resolve_device("auto" if name is None else name))


def measure_speed(
    candidate: StepUnderTest,
    baseline: StepUnderTest | None,
    *,
    name: str,
    device: str | None,
    seconds: float,
    precision: float,
) -> Speed:
    """``precision``: half the width of the 99% interval at which measuring ends, as a share.

    Raises UserError for a wrong setting, TimingError for a measurement that contradicts itself.
    """
    baseline_images = baseline.images if baseline else 1
    for what, number in {"images": candidate.images, "seconds": seconds, "baseline_images": baseline_images}.items():
        if not number > 0:
            raise UserError(f"sslbench_speed({what}={number}): must be above 0")
    arm = candidate.arm(candidate.device(device))
    against: dict[str, Any] = {}
    if baseline is not None:
        slowdown = compare_until_sure(baseline.arm(arm.device), arm, precision=precision, seconds=seconds)
        timing = slowdown.candidate
        against = {
            "speed_up": 1 / (1 + slowdown.slowdown),
            "speed_up_interval": Interval(1 / (1 + slowdown.high), 1 / (1 + slowdown.low)),
            "noise_floor": slowdown.noise_floor,
            "rounds": slowdown.rounds,
            "baseline": rate_of(slowdown.baseline),
        }
    else:
        clock = undisturbed_clock(arm.device)
        facts: dict[str, Any] = {"device": arm.device, "images": arm.images, "parameters": arm.parameters}
        timing = measure_steps(arm.step, **facts, steps=STEPS, seconds=seconds, clock=clock)
    return Speed(
        name=name,
        step_ms=timing.step_ms,
        contended=timing.contended,
        machine={**machine_facts(), **torch_facts(str(arm.device))},
        **asdict(rate_of(timing)),
        **against,
    )


def rate_of(timing: Timing) -> Rate:
    """By the median step."""
    return Rate(
        images=timing.images,
        images_per_second=timing.images_per_second,
        step_ms_median=timing.median_ms,
        step_ms_iqr=timing.iqr_ms,
    )
