from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sslbench.measure.comparison import Comparison
from sslbench.measure.timing import Timing, WarmUp
from sslbench.speed.measurement import Measurement
from sslbench.speed.plan import SpeedPlan
from sslbench.speed.record import RecordWriter, of_launches, unknown_facts
from sslbench.speed.suite import Expected, SpeedFile

FREE = WarmUp(10, True, 1.0, None, 10.0, None, None, host_ms=2.0)
BOUND = replace(FREE, host_ms=9.5)
EXPECTED = Expected(statement="3 to 4 times", low=3, high=4, against=["full"])


def timing(warm):
    return Timing(1, (10.0,), warm, 10.0, None, None, 1.0)


def compared(baseline, own):
    return Comparison(3.5, 3.4, 3.6, 0.01, timing(baseline), timing(own))


def row(device="cuda", precision="bf16"):
    return SimpleNamespace(device=device, precision=precision, key="k", matches=lambda where: True)


@pytest.mark.parametrize(("baseline", "own", "bound"), [(FREE, FREE, False), (FREE, BOUND, True), (BOUND, FREE, True)])
def test_a_ratio_with_a_launch_bound_row_is_one_of_launches_and_decides_nothing(baseline, own, bound):
    comparison = compared(baseline, own)
    assert of_launches(row(), comparison) is bound
    layout = SpeedFile(expected=EXPECTED)
    writer = RecordWriter(SpeedPlan((), (), (), None), layout, None)
    measured = Measurement(row(), flops_per_image=1.0)
    ratio = writer._ratio(measured, measured, ("full",), comparison)
    assert (ratio.of_launches, ratio.verdict) == (bound, "undecided: launch-bound" if bound else "holds")


@pytest.mark.parametrize(
    ("device", "precision", "why"),
    [
        ("cpu", "fp32", "a call returns when its work is done"),
        ("cuda:1", "fp16", "the gradient scaler of fp16 waits for the device in each step"),
    ],
)
def test_where_the_host_waits_it_is_not_known_what_launches_cost(device, precision, why):
    where = row(device, precision)
    assert unknown_facts(where) == {"host_ms": why, "launch_bound": why}
    assert of_launches(where, compared(BOUND, BOUND)) is None
    assert unknown_facts(row()) == {}
