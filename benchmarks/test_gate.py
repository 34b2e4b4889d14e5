"""The gate of ``--sslbench-fail-on`` on this machine: how often it turns red with a slowdown, and how often without."""

from __future__ import annotations

import pytest
import torch

from sslbench.measure.limits import Limit
from sslbench.measure.timing import Arm
from sslbench.testing.speed import check_limits
from sslbench.testing.stopwatch import measure_speed

PRODUCTS, SIDE = 20, 224
"""Matrix products of a step, about 4 ms: one more is 5% more work."""
LIMIT = Limit("images_per_second", 5.0)


def work(products):
    matrix = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0)) / SIDE**0.5

    def step():
        result = matrix
        for _ in range(products):
            result = matrix @ result

    return step


@pytest.mark.parametrize(("products", "what"), [(PRODUCTS + 1, "5% more work"), (PRODUCTS, "the same step")])
def test_the_gate(request, report_line, products, what):
    tries = request.config.getoption("gate_tries")
    speeds, red = [], 0
    for number in range(tries):
        candidate, baseline = Arm(work(products), 1, None), Arm(work(PRODUCTS), 1, None)
        speed = measure_speed(candidate, baseline, name=str(number), device="cpu", seconds=20.0, precision=0.01)
        crossed, _ = check_limits(speed, None, [LIMIT])
        red += bool(crossed)
        speeds.append(speed)
    slower = sorted(100 / speed.speed_up - 100 for speed in speeds)
    contended = sum(bool(speed.contended) for speed in speeds)
    report_line(
        f"gate at {LIMIT}, {what}: red {red} of {tries} (measured {slower[0]:+.1f} to {slower[-1]:+.1f}%,"
        f" {speeds[0].baseline.step_ms_median:.1f} ms a step, cores wanted by others in {contended})"
    )
    assert red == (tries if products > PRODUCTS else 0)
