"""Measure a step for the fixture ``sslbench_speed``: alone, or in turn with a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
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


def measure_speed(
    candidate: Arm, baseline: Arm | None, *, name: str, device: str | None, seconds: float, precision: float
) -> Speed:
    """On the device of that name, else where the candidate's parameters are, else on the GPU where there is one.

    ``precision``: half the width of the 99% interval at which measuring ends, as a share. Raises UserError for a wrong
    setting and a device that is not there, TimingError for a measurement that contradicts itself.
    """
    baseline_images = baseline.images if baseline else 1
    for what, number in {"images": candidate.images, "seconds": seconds, "baseline_images": baseline_images}.items():
        if not number > 0:
            raise UserError(f"sslbench_speed({what}={number}): must be above 0")
    where = device_of(candidate.parameters, device)
    against: dict[str, Any] = {}
    if baseline is not None:
        arms = [replace(arm, device=where) for arm in (baseline, candidate)]
        comparison = compare_until_sure(*arms, precision=precision, seconds=seconds)
        timing = comparison.b
        against = {
            "speed_up": comparison.ratio,
            "speed_up_interval": Interval(comparison.low, comparison.high),
            "noise_floor": comparison.noise_floor,
            "rounds": comparison.rounds,
            "baseline": rate_of(comparison.a),
        }
    else:
        timing = measure_steps(
            candidate.step,
            device=where,
            images=candidate.images,
            parameters=candidate.parameters,
            steps=STEPS,
            seconds=seconds,
            clock=undisturbed_clock(where),
        )
    return Speed(
        name=name,
        step_ms=timing.step_ms,
        contended=timing.contended,
        machine={**machine_facts(), **torch_facts(str(where))},
        **asdict(rate_of(timing)),
        **against,
    )


def device_of(parameters: Sequence[Tensor] | None, name: str | None) -> torch.device:
    """That of the ``name``, of the parameters, or the GPU where there is one. Raises UserError for one that is not."""
    if name is None and parameters:
        return parameters[0].device
    return torch.device(resolve_device("auto" if name is None else name))


def rate_of(timing: Timing) -> Rate:
    """By the median step."""
    return Rate(
        images=timing.images,
        images_per_second=timing.images_per_second,
        step_ms_median=timing.median_ms,
        step_ms_iqr=timing.iqr_ms,
    )
