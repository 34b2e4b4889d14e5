"""How a speed is judged: what counts as too slow, and in which words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sslbench.measure.limits import Limit
from sslbench.statistics.intervals import Interval
from sslbench.testing.speed import Speed, judge, summary_line

MACHINE = {"processor": "Abacus", "gpu": None, "torch": "2.14.1", "time": "2026-01-01T00:00:00+00:00"}


def speed(step_ms=10.0, slowdown=None, half=0.005, noise=0.002, machine=MACHINE, images=8):
    """A speed whose baseline, if any, is faster by ``slowdown``, known to ``half`` on either side."""
    against = {}
    if slowdown is not None:
        ends = Interval(1 / (1 + slowdown + half), 1 / (1 + slowdown - half))
        baseline = {"images": images, "images_per_second": 900.0, "step_ms_median": 9.0, "step_ms_iqr": 0.1}
        against = {"speed_up": 1 / (1 + slowdown), "speed_up_interval": ends, "noise_floor": noise, "rounds": 10}
        against["baseline"] = baseline
    samples = tuple(step_ms + np.random.default_rng(0).normal(0, 0.01, 50) * step_ms)
    return Speed("step", images, samples, 1000 * images / step_ms, step_ms, 0.1, False, machine, **against)


def lines(one, stored=None, *limits):
    return judge(one, stored, [Limit("images_per_second", 5.0), *limits])[0]


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
    found = lines(speed(step_ms, images=images), speed(10.0).described())
    assert bool(found) == red
    if red:
        assert found[0].startswith("step: an image takes 6.0% longer than stored (99%: ")


def test_another_machine_is_said():
    elsewhere = {**MACHINE, "gpu": "NVIDIA H100", "torch": "2.11.0"}
    (line,) = lines(speed(10.6), speed(10.0, machine=elsewhere).described())
    assert "than stored on another machine (gpu: NVIDIA H100 then, None now, torch: 2.11.0 then, 2.14.1 now)" in line


def test_a_stored_speed_up_is_held_against_todays():
    limit = Limit("speed_up", 5.0)
    stored = speed(slowdown=-0.5, half=0.002).described()
    assert lines(speed(slowdown=-0.5), stored, limit) == []
    (line,) = lines(speed(slowdown=-0.46, half=0.002), stored, limit)
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
def test_what_could_not_be_judged_is_said(slowdown, quantity, words):
    crossed, notes = judge(speed(slowdown=slowdown), None, [Limit(quantity, 5.0)])
    assert (crossed, notes) == ([], [f"{quantity}:5% not judged: {words}"])


def test_what_is_stored_is_json_and_read_back_the_same():
    one = speed(slowdown=0.05)
    stored = json.loads(json.dumps(one.described(), allow_nan=False))
    assert stored["machine"]["gpu"] is None
    assert stored["low"] < stored["speed_up"] < stored["high"]
    assert stored["step_ms"] == pytest.approx(one.step_ms, abs=1e-3)
    assert stored["baseline"]["images_per_second"] == 900.0


def test_a_line_of_the_summary():
    assert summary_line(speed(slowdown=-0.5), None, [], ["note"]) == (
        "step: 800 images/s, 10 ms a step (IQR 0.1); an image takes 50.0% shorter than the baseline of this run"
        " (99%: -50.5 to -49.5%); noise 0.2%, 10 rounds; note"
    )
    assert summary_line(speed(slowdown=0.5), None, ["too slow"], []).endswith("  <- TOO SLOW")
