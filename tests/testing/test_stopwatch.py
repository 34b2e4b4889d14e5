from __future__ import annotations

import pytest
import torch

from sslbench.measure.timing import Arm
from sslbench.testing.stopwatch import device_of, measure_speed


def test_a_step_computes_where_the_test_says_or_where_its_parameters_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of(None, None) == torch.device("cuda")
    assert device_of(None, "cpu") == torch.device("cpu")
    assert device_of(None, "cuda:1") == torch.device("cuda:1")
    assert device_of([torch.zeros(2)], None) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(None, None) == torch.device("cpu")


@pytest.mark.gpu
def test_work_that_is_queued_on_a_gpu_counts():
    """The calls return at once; the larger product takes about eight times as long."""
    small, large = (torch.randn(side, side, device="cuda") for side in (2048, 4096))
    step, baseline = Arm(lambda: small @ small, 1, None), Arm(lambda: large @ large, 1, None)
    speed = measure_speed(step, baseline, name="product", device=None, seconds=20.0, precision=0.02)
    assert 4 < speed.speed_up < 16
    assert speed.machine["gpu"] == torch.cuda.get_device_name()
    assert speed.contended is None
