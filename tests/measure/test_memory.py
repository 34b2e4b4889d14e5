from __future__ import annotations

import sys

import pytest
import torch

from sslbench.measure import memory
from sslbench.measure.memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_peak_is_of_the_stretch_and_not_of_the_process():
    block = torch.ones(64 * 2**20, dtype=torch.uint8)
    high = PeakMemory(torch.device("cpu")).bytes()
    if high is None:
        pytest.fail("the peak of this process cannot be reset here")
    del block
    low = PeakMemory(torch.device("cpu")).bytes()
    assert low < high - 32 * 2**20


def test_where_it_cannot_be_known_it_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "none" / "clear_refs")
    assert PeakMemory(torch.device("cpu")).bytes() is None
