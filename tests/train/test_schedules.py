from __future__ import annotations

import math

import pytest

from sslbench.train.optimizers import cosine, warmup_cosine


def test_warm_up_is_linear_and_starts_above_zero():
    assert [warmup_cosine(step, 100, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("step", [10, 40, 99])
def test_after_warm_up_half_a_cosine(step):
    expected = 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
    assert warmup_cosine(step, 100, 10) == pytest.approx(expected)


def test_it_ends_at_the_floor_and_no_lower():
    assert warmup_cosine(100, 100, 0) == pytest.approx(0)
    assert warmup_cosine(150, 100, 0, floor=0.1) == pytest.approx(0.1)


def test_warm_up_longer_than_training_only_warms_up():
    assert warmup_cosine(3, 4, 8) == 0.5


def test_cosine_runs_from_start_to_end_and_stays_there():
    assert [cosine(0.9, 1.0, at) for at in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([0.9, 0.95, 1.0, 1.0])
    assert cosine(0.04, 0.4, 0.25) == pytest.approx(0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi / 4)) / 2)
