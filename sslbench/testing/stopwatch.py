"""Measure a step for the fixture ``sslbench_speed``: alone, or in turn with a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sslbench.errors import UserError
from sslbench.measure.clocks import clock_for
from sslbench.measure.machine import resolve_device, torch_facts
from sslbench.measure.rounds import MeasuredSlowdown, compare_until_sure
from sslbench.measure.timing import Arm, Timing, measure_steps
from sslbench.measure.undisturbed import undisturbed_clock
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
        if name is not None:
            return torch.device(resolve_device(name))
        for parameter in self.parameters or ():
            return parameter.device
        return torch.device(resolve_device("auto"))


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
    for number, what in (
        (candidate.images, "images"),
        (seconds, "seconds"),
        (baseline.images if baseline else 1, "baseline_images"),
    ):
        if not number > 0:
            raise UserError(f"sslbench_speed({what}={number}): must be above 0")
    arm = candidate.arm(candidate.device(device))
    if baseline is not None:
        slowdown = compare_until_sure(baseline.arm(arm.device), arm, precision=precision, seconds=seconds)
        return speed_of(name, slowdown.candidate, arm.device, slowdown)
    timing = measure_steps(
        arm.step,
        device=arm.device,
        images=arm.images,
        parameters=arm.parameters,
        steps=STEPS,
        seconds=seconds,
        clock=undisturbed_clock() if arm.device.type == "cpu" else clock_for(arm.device),
    )
    return speed_of(name, timing, arm.device)


def speed_of(name: str, timing: Timing, device: torch.device, slowdown: MeasuredSlowdown | None = None) -> Speed:
    """A measurement in the words of a test, with the machine that it was made on."""
    against: dict[str, Any] = {}
    if slowdown is not None:
        against = {
            "speed_up": 1 / (1 + slowdown.slowdown),
            "speed_up_interval": Interval(1 / (1 + slowdown.high), 1 / (1 + slowdown.low)),
            "noise_floor": slowdown.noise_floor,
            "rounds": slowdown.rounds,
            "baseline": rate_of(slowdown.baseline),
        }
    return Speed(
        name=name,
        step_ms=timing.step_ms,
        contended=timing.contended,
        machine={**machine_facts(), **torch_facts(str(device))},
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
