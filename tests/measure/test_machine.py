from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from sslbench.errors import UserError
from sslbench.measure import machine
from sslbench.measure.machine import (
    check_where_it_runs,
    resolve_device,
    resolve_precision,
    torch_facts,
    torch_hardware,
)


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


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_what_the_readme_says_is_refused_is(kind):
    """A Mac would be trained on its processor in silence otherwise."""
    text = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    (sentence,) = re.findall(r"A Mac trains on its CPU, and [^:]* are refused", text)
    assert kind in sentence
    with pytest.raises(UserError, match=f"--device '{kind}': allowed are auto, cpu, cuda and cuda:N"):
        resolve_device(kind)


@pytest.mark.parametrize("wrong", ["gpu", "cuda:", "cpu:0"])
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


class Properties(NamedTuple):
    """As torch has them of a GPU."""

    name: str
    major: int
    minor: int
    total_memory: int


CARDS = [Properties("Tesla T4", 7, 5, 15 * 2**30), Properties("NVIDIA H100", 9, 0, 79 * 2**30)]


def pretend(monkeypatch, cards):
    """GPUs that are not there, for torch; the first one is the current one."""

    def of(device):
        return cards[torch.device(device).index or 0]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cards))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", of)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: of(device)[1:3])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: of(device).name)


def answers(monkeypatch, text):
    """The driver's, to whatever it is asked."""
    monkeypatch.setattr("sslbench.measure.machine.output_of", lambda *command: text)
    machine.driver.cache_clear()


@pytest.mark.parametrize(
    ("capabilities", "precision"), [("8.0\n9.0", "bf16"), ("7.5\n7.0", "fp32"), ("7.5\n8.0", "fp32"), (None, "fp32")]
)
def test_whether_gpus_have_bf16_is_asked_of_the_driver_before_cuda_is_initialised(monkeypatch, capabilities, precision):
    pretend(monkeypatch, CARDS)
    answers(monkeypatch, capabilities)
    if capabilities in ("8.0\n9.0", "7.5\n7.0"):
        monkeypatch.delattr(torch.cuda, "get_device_capability")
    assert resolve_precision("auto", "cuda") == precision


def test_it_is_the_gpu_that_is_named_that_is_asked_for_bf16(monkeypatch):
    pretend(monkeypatch, CARDS)
    answers(monkeypatch, None)
    assert [resolve_precision("auto", device) for device in ("cuda:0", "cuda:1")] == ["fp32", "bf16"]
    check_where_it_runs("cuda:1", "bf16")
    check_where_it_runs("cuda:1", "tf32")
    with pytest.raises(UserError, match="--precision tf32: Tesla T4 has none; allowed on it: fp32, fp16"):
        check_where_it_runs("cuda:0", "tf32")


def test_hardware_names_what_each_gpu_has(monkeypatch):
    pretend(monkeypatch, CARDS)
    answers(monkeypatch, "570.1\n570.1\n")
    facts = torch_hardware()
    assert {name: facts[name] for name in ("GPUs", "GPU", "GPU memory GiB", "compute capability", "driver")} == {
        "GPUs": 2,
        "GPU": "Tesla T4, NVIDIA H100",
        "GPU memory GiB": "15.0, 79.0",
        "compute capability": "7.5, 9.0",
        "driver": "570.1",
    }
    assert facts["bf16 and TF32 on GPU"] == "no, yes"
    own = "products IEEE, convolutions TF32 (every precision of sslbench sets both)"
    assert facts["torch's own float32 on GPU"] == own


def test_hardware_without_a_gpu_is_unknown_by_name(monkeypatch):
    pretend(monkeypatch, [])
    facts = torch_hardware()
    assert facts["GPUs"] == 0
    names = ("GPU", "GPU memory GiB", "compute capability", "bf16 and TF32 on GPU", "driver")
    assert [facts[name] for name in names] == [None] * 5


def test_facts_are_of_the_gpu_that_was_used(monkeypatch):
    pretend(monkeypatch, CARDS)
    answers(monkeypatch, None)
    facts = torch_facts("cuda:1", "tf32")
    assert (facts["gpu"], facts["compute_capability"], facts["gpu_memory_bytes"]) == ("NVIDIA H100", "9.0", 79 * 2**30)
    assert (facts["driver"], facts["float32"]) == (None, "TF32")
    assert torch_facts("cuda:1", "bf16")["float32"] == "IEEE"


def test_a_machine_without_a_gpu_plans_bf16_for_the_gpus_of_others_and_they_check_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision("auto", "cuda") == "bf16"
    with pytest.raises(UserError, match="--device cuda: .*; allowed here: auto, cpu"):
        check_where_it_runs("cuda", "bf16")
    pretend(monkeypatch, CARDS)
    with pytest.raises(UserError, match="--precision bf16: Tesla T4 has none; allowed on it: fp32, fp16"):
        check_where_it_runs("cuda", "bf16")
    check_where_it_runs("cuda", "fp16")


def test_precision_on_a_cpu():
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("bf16", "cpu") == "bf16"
    for wanted in ("fp16", "tf32"):
        with pytest.raises(UserError, match=f"--precision {wanted} needs a GPU; allowed on a CPU: auto, fp32, bf16"):
            resolve_precision(wanted, "cpu")
    assert resolve_precision("tf32", "cuda:1") == "tf32"


def test_facts_name_torch_and_no_gpu_on_a_cpu():
    facts = torch_facts("cpu")
    assert facts["torch"] == torch.__version__
    assert (facts["gpu"], facts["cuda"]) == (None, None)
    assert "float32" not in facts
    assert torch_facts("cpu", "fp32")["float32"] == "IEEE"
