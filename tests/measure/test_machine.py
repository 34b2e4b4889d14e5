from __future__ import annotations

import pytest
import torch

from sslbench.errors import UserError
from sslbench.measure.machine import resolve_device, resolve_precision, torch_facts


def test_auto_is_a_gpu_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"


def test_cuda_without_a_gpu_is_an_error_and_never_a_silent_cpu_run(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--device cuda:1: .*; allowed here: auto, cpu"):
        resolve_device("cuda:1")


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(UserError, match=r"this machine has 2 GPU\(s\), cuda:0 to cuda:1"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("wrong", ["gpu", "cuda:", "cpu:0", "mps"])
def test_an_unknown_device_names_the_allowed_ones(wrong):
    with pytest.raises(UserError, match="allowed are auto, cpu, cuda and cuda:N"):
        resolve_device(wrong)


def test_precision_on_a_cpu():
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"
    with pytest.raises(UserError, match="--precision fp16 needs a GPU; allowed on a CPU: auto, fp32, bf16"):
        resolve_precision("fp16", "cpu")


def test_facts_name_torch_and_no_gpu_on_a_cpu():
    facts = torch_facts("cpu")
    assert facts["torch"] == torch.__version__
    assert (facts["gpu"], facts["cuda"]) == (None, None)
