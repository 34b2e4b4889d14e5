from __future__ import annotations

import pytest
import torch

from sslbench.errors import UserError
from sslbench.measure.machine import check_where_it_runs, resolve_device, resolve_precision, torch_facts


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


@pytest.mark.parametrize(
    ("wanted", "offered", "device"),
    [
        ("auto", ("cpu",), "cpu"),
        ("auto", ("cuda",), "cuda"),  # workers with a GPU, planned for where there is none
        ("cuda", ("cuda",), "cuda"),
        ("auto", ("cpu", "cuda:0", "cuda:1"), "cuda"),
        ("cuda:1", ("cpu", "cuda:0", "cuda:1"), "cuda:1"),
        ("cpu", ("cpu", "cuda:0"), "cpu"),
    ],
)
def test_devices_are_those_that_the_executor_runs_on(monkeypatch, wanted, offered, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: len(offered) > 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(offered) - 1)
    assert resolve_device(wanted, offered) == device


@pytest.mark.parametrize(
    ("wanted", "offered", "words"),
    [
        ("cpu", ("cuda",), "--device cpu: this executor runs on cuda"),
        ("cuda:1", ("cuda",), "--device cuda:1: this executor deals GPUs out itself; allowed: auto, cuda"),
        ("cuda", ("cpu",), "--device cuda: .*; allowed here: auto, cpu"),
    ],
)
def test_a_device_that_the_executor_does_not_run_on_is_an_error(monkeypatch, wanted, offered, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=words):
        resolve_device(wanted, offered)


@pytest.mark.parametrize(("capabilities", "precision"), [("8.0\n9.0", "bf16"), ("7.5\n8.0", "fp32"), ("", "fp32")])
def test_whether_gpus_have_bf16_is_asked_of_the_driver_before_cuda_is_initialised(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr("sslbench.measure.machine.output_of", lambda *command: capabilities)
    assert resolve_precision("auto", "cuda") == precision


def test_a_machine_without_a_gpu_plans_bf16_for_the_gpus_of_others_and_they_check_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision("auto", "cuda") == "bf16"
    with pytest.raises(UserError, match="--device cuda: .*; allowed here: auto, cpu"):
        check_where_it_runs("cuda", "bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(UserError, match="--precision bf16: Tesla T4 has none; allowed on it: fp32, fp16"):
        check_where_it_runs("cuda", "bf16")
    check_where_it_runs("cuda", "fp16")


def test_precision_on_a_cpu():
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"
    with pytest.raises(UserError, match="--precision fp16 needs a GPU; allowed on a CPU: auto, fp32, bf16"):
        resolve_precision("fp16", "cpu")


def test_facts_name_torch_and_no_gpu_on_a_cpu():
    facts = torch_facts("cpu")
    assert facts["torch"] == torch.__version__
    assert (facts["gpu"], facts["cuda"]) == (None, None)
