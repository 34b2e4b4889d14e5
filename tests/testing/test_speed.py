"""How a speed is checked: what counts as too slow, and in which words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sslbench.measure.limits import Limit
from sslbench.statistics.intervals import Interval
from sslbench.store.json_parts import DamagedRecord
from sslbench.testing.speed import Rate, Speed, StoredSpeed, check_limits, summary_line

MACHINE = {"processor": "Abacus", "gpu": None, "torch": "2.14.1", "time": "2026-01-01T00:00:00+00:00"}


def speed(step_ms=10.0, slowdown=None, half=0.005, noise=0.002, machine=MACHINE, images=8):
    """A speed whose baseline, if any, is faster by ``slowdown``, known to ``half`` on either side."""
    against = {}
    if slowdown is not None:
        interval = Interval(1 / (1 + slowdown + half), 1 / (1 + slowdown - half))
        baseline = Rate(images=images, images_per_second=900.0, step_ms_median=9.0, step_ms_iqr=0.1)
        against = {"speed_up": 1 / (1 + slowdown), "speed_up_interval": interval, "noise_floor": noise, "rounds": 10}
        against["baseline"] = baseline
    samples = tuple(step_ms + np.random.default_rng(0).normal(0, 0.01, 50) * step_ms)
    return Speed(
        name="step",
        images=images,
        step_ms=samples,
        images_per_second=1000 * images / step_ms,
        step_ms_median=step_ms,
        step_ms_iqr=0.1,
        contended=False,
        machine=machine,
        **against,
    )


def lines(measured, stored=None, *limits):
    return check_limits(measured, stored, [Limit("images_per_second", 5.0), *limits])[0]


def stored(measured):
    """The speed as a file of ``--sslbench-save`` has it."""
    return StoredSpeed.from_json(json.loads(json.dumps(measured.described(), allow_nan=False)))


@pytest.mark.parametrize(
    ("slowdown", "half", "noise", "red"),
    [
        (0.050, 0.005, 0.002, True),
        (0.080, 0.005, 0.002, True),
        (0.047, 0.005, 0.002, True),  # not shown to stay within 5%
        (0.040, 0.005, 0.002, False),
        (0.000, 0.005, 0.002, False),
        (-0.30, 0.005, 0.002, False),
        (0.000, 0.100, 0.002, False),  # a noisy machine shows nothing
        (0.060, 0.070, 0.002, False),
        (0.060, 0.010, 0.090, False),  # nor one whose baseline differs as much from itself
    ],
)
def test_red_is_slower_beyond_the_noise_and_not_shown_to_be_within_the_limit(slowdown, half, noise, red):
    assert bool(lines(speed(slowdown=slowdown, half=half, noise=noise))) == red


def test_the_words_of_a_crossed_limit():
    (line,) = lines(speed(slowdown=0.05))
    assert line == (
        "step: an image takes 5.0% longer than the baseline of this run (99%: +4.5 to +5.5%):"
        " not within the limit images_per_second:5%"
    )


def test_both_quantities_of_a_speed_mean_the_same():
    assert len(lines(speed(slowdown=0.05), None, Limit("step_ms_median", 5.0))) == 2


@pytest.mark.parametrize(("step_ms", "images", "red"), [(10.0, 8, False), (10.6, 8, True), (10.6, 16, False)])
def test_without_a_baseline_what_was_stored_serves(step_ms, images, red):
    found = lines(speed(step_ms, images=images), stored(speed(10.0)))
    assert bool(found) == red
    if red:
        assert found[0].startswith("step: an image takes 6.0% longer than stored (99%: ")


def test_another_machine_is_named():
    elsewhere = {**MACHINE, "gpu": "NVIDIA H100", "torch": "2.11.0"}
    (line,) = lines(speed(10.6), stored(speed(10.0, machine=elsewhere)))
    assert "than stored on another machine (gpu: NVIDIA H100 then, None now, torch: 2.11.0 then, 2.14.1 now)" in line


def test_a_stored_speed_up_is_compared_with_todays():
    limit = Limit("speed_up", 5.0)
    before = stored(speed(slowdown=-0.5, half=0.002))
    assert lines(speed(slowdown=-0.5), before, limit) == []
    (line,) = lines(speed(slowdown=-0.46, half=0.002), before, limit)
    assert line.startswith("step: an image takes 8.0% longer than its stored speed-up over the baseline, 2.000 (99%: ")
    assert line.endswith("not within the limit speed_up:5%")


@pytest.mark.parametrize(
    ("slowdown", "quantity", "words"),
    [
        (None, "images_per_second", "no baseline= in the test and nothing stored for it (--sslbench-compare)"),
        (None, "speed_up", "no baseline= in the test"),
        (0.0, "speed_up", "no stored speed-up (--sslbench-compare)"),
    ],
)
def test_what_could_not_be_checked_is_reported(slowdown, quantity, words):
    crossed, notes = check_limits(speed(slowdown=slowdown), None, [Limit(quantity, 5.0)])
    assert (crossed, notes) == ([], [f"{quantity}:5% not checked: {words}"])


def test_what_is_stored_is_json_and_read_back_the_same():
    measured = speed(slowdown=0.05)
    before = stored(measured)
    assert before.machine["gpu"] is None
    assert before.low < before.speed_up < before.high
    assert before.step_ms == pytest.approx(measured.step_ms, abs=1e-3)
    assert measured.described()["baseline"]["images_per_second"] == 900.0


def test_a_stored_speed_that_is_damaged_is_named():
    message = "stored speed t: damaged: step_ms_median is 'fast'; allowed: a finite number"
    with pytest.raises(DamagedRecord, match=message):
        StoredSpeed.from_json({**speed().described(), "step_ms_median": "fast"}, "stored speed t")


def test_a_line_of_the_summary():
    assert summary_line(speed(slowdown=-0.5), None, [], ["note"]) == (
        "step: 800 images/s, 10 ms a step (IQR 0.1); an image takes 50.0% shorter than the baseline of this run"
        " (99%: -50.5 to -49.5%); noise 0.2%, 10 rounds; note"
    )
    assert summary_line(speed(slowdown=0.5), None, ["too slow"], []).endswith("  <- TOO SLOW")
