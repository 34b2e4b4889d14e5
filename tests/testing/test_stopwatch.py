from __future__ import annotations

import pytest
import torch

from sslbench.testing.stopwatch import StepUnderTest, measure_speed


def test_a_step_computes_where_the_test_says_or_where_its_parameters_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    step = StepUnderTest(lambda: None, 1)
    assert step.device(None) == torch.device("cuda")
    assert step.device("cpu") == torch.device("cpu")
    assert step.device("cuda:1") == torch.device("cuda:1")
    assert StepUnderTest(lambda: None, 1, [torch.zeros(2)]).device(None) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert step.device(None) == torch.device("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_work_that_is_queued_on_a_gpu_counts():
    """The calls return at once; the larger product takes about eight times as long."""
    small, large = (torch.randn(side, side, device="cuda") for side in (2048, 4096))
    step, baseline = StepUnderTest(lambda: small @ small, 1), StepUnderTest(lambda: large @ large, 1)
    speed = measure_speed(step, baseline, name="product", device=None, seconds=20.0, precision=0.02)
    assert 4 < speed.speed_up < 16
    assert speed.machine["gpu"] == torch.cuda.get_device_name()
    assert speed.contended is None
