"""Measure a step for the fixture ``sslbench_speed``: alone, or in turn with a baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sslbench.errors import UserError
from sslbench.measure.clocks import clock_for
from sslbench.measure.machine import resolve_device, torch_facts
from sslbench.measure.rounds import Versus, compare_until_sure
from sslbench.measure.timing import Arm, Timing, measure_steps
from sslbench.measure.undisturbed import undisturbed_clock
from sslbench.statistics.intervals import Interval
from sslbench.store.provenance import machine_facts
from sslbench.testing.speed import Speed

STEPS = 500
"""of a step without a baseline, where they fit into the time"""


@dataclass(frozen=True)
class Given:
    """A step as a test gives it."""

    step: Callable[[], Any]
    images: int
    parameters: Sequence[Tensor] | None = None

    def arm(self, device: torch.device) -> Arm:
        return Arm(self.step, self.images, self.parameters, device=device)


def measure_speed(
    given: Given, baseline: Given | None, *, name: str, device: str | None, seconds: float, precision: float
) -> Speed:
    """``precision``: half the width of the 99% interval at which measuring ends, as a share.

    Raises UserError for a wrong setting, TimingError for a measurement that contradicts itself.
    """
    for number, what in (
        (given.images, "images"),
        (seconds, "seconds"),
        (baseline.images if baseline else 1, "baseline_images"),
    ):
        if not number > 0:
            raise UserError(f"sslbench_speed({what}={number}): must be above 0")
    arm = given.arm(place(given, device))
    if baseline is None:
        clock = undisturbed_clock() if arm.device.type == "cpu" else clock_for(arm.device)
        timing = measure_steps(
            arm.step,
            device=arm.device,
            images=arm.images,
            parameters=arm.parameters,
            steps=STEPS,
            seconds=seconds,
            clock=clock,
        )
        return speed_of(name, timing, str(arm.device))
    versus = compare_until_sure(baseline.arm(arm.device), arm, precision=precision, seconds=seconds)
    return speed_of(name, versus.candidate, str(arm.device), versus)


def place(given: Given, device: str | None) -> torch.device:
    """Where the step computes: as told, else where its parameters are, else the GPU where there is one."""
    if device is not None:
        return torch.device(resolve_device(device))
    for parameter in given.parameters or ():
        return parameter.device
    return torch.device(resolve_device("auto"))


def speed_of(name: str, timing: Timing, device: str, versus: Versus | None = None) -> Speed:
    against: dict[str, Any] = {}
    if versus is not None:
        against = {
            "speed_up": 1 / (1 + versus.slowdown),
            "speed_up_interval": Interval(1 / (1 + versus.high), 1 / (1 + versus.low)),
            "noise_floor": versus.noise_floor,
            "rounds": versus.rounds,
            "baseline": {"images": versus.baseline.images, **figures(versus.baseline)},
        }
    machine = {**machine_facts(), **torch_facts(device)}
    return Speed(
        name=name,
        images=timing.images,
        step_ms=timing.step_ms,
        contended=timing.contended,
        machine=machine,
        **figures(timing),
        **against,
    )


def figures(timing: Timing) -> dict[str, Any]:
    median = statistics.median(timing.step_ms)
    return {
        "images_per_second": 1000 * timing.images / median,
        "step_ms_median": median,
        "step_ms_iqr": timing.iqr_ms,
    }
