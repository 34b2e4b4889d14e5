from __future__ import annotations

import pytest
import torch

from sslbench.train.threads import SMALL_STEP, enough_threads

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("device", "flops", "threads"),
    [(CPU, SMALL_STEP - 1, 1), (CPU, SMALL_STEP, 2), (CPU, None, 2), (GPU, SMALL_STEP - 1, 2)],
)
def test_a_small_step_on_a_processor_has_one_thread(device, flops, threads):
    with enough_threads(device, flops) as given:
        assert given == torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with enough_threads(CPU, 1.0) as given:
        assert given == torch.get_num_threads() == 2


def test_the_threads_come_back_whatever_happens():
    with pytest.raises(ZeroDivisionError), enough_threads(CPU, 1.0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
