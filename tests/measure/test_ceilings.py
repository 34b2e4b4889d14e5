from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sslbench.measure import ceilings as module
from sslbench.measure.ceilings import Ceilings, cache_path, ceilings, highest, measure, read
from sslbench.store.digests import write_json

KNOWN = Ceilings("chip", 2, "2.14", {"fp32": 2e11, "bf16": None}, 4e10, "2026-01-01T00:00:00+00:00", False)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "SIDES", {"cpu": 64})
    monkeypatch.setattr(module, "COPIED", {"cpu": 2**16})
    monkeypatch.setattr(module, "SECONDS", 0.002)


def quiet(monkeypatch, busy=False):
    monkeypatch.setattr(module, "contended", lambda laps, threads: busy)


def test_what_is_measured_is_a_product_and_a_copy(monkeypatch):
    monkeypatch.setattr(module, "shortest", lambda call, device: (call(), (0.001, False))[1])
    found = measure("cpu", "chip")
    assert found.flops == {"fp32": pytest.approx(2 * 64**3 / 0.001), "bf16": pytest.approx(2 * 64**3 / 0.001)}
    assert found.copy_bytes_per_second == pytest.approx(2 * 2**16 / 0.001)
    assert (found.device, found.threads, found.contended) == ("chip", torch.get_num_threads(), False)


def test_a_gpu_has_a_ceiling_in_each_arithmetic_and_none_where_it_lacks_one(monkeypatch):
    """The products of a GPU, on a CPU: which of them are asked for, and with which switches."""
    monkeypatch.setattr(module, "PRECISIONS", {"cpu": module.PRECISIONS["cuda"]})
    seen = {}

    def product(dtype):
        def call(left, right):
            assert left.dtype == right.dtype == dtype
            seen.setdefault(dtype, []).append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            if dtype is torch.float8_e4m3fn:
                raise RuntimeError("compute capability >= 8.9 is needed")

        return call

    monkeypatch.setattr(torch, "matmul", lambda left, right: product(left.dtype)(left, right))
    monkeypatch.setattr(module, "fp8_product", product(torch.float8_e4m3fn))
    monkeypatch.setattr(module, "shortest", lambda call, device: (call(), (0.001, False))[1])
    found = measure("cpu", "chip")
    rate = pytest.approx(2 * 64**3 / 0.001)
    assert found.flops == {"fp32": rate, "tf32": rate, "bf16": rate, "fp16": rate, "fp8": None}
    assert seen[torch.float32] == [(False, False), (True, True)]
    assert found.utilisation(64**3 / 0.001, "tf32") == pytest.approx(0.5)


def test_the_product_of_float8_is_a_product():
    left, right = (
        torch.randn(16, 32, generator=torch.Generator().manual_seed(s)).to(torch.float8_e4m3fn) for s in (0, 1)
    )
    assert module.fp8_product(left, right).dtype == torch.bfloat16
    assert torch.allclose(module.fp8_product(left, right).float(), left.float() @ right.float().T, rtol=0.02, atol=0.1)


def test_ceilings_of_an_older_list_of_precisions_are_measured_again(monkeypatch):
    quiet(monkeypatch)
    ceilings("cpu", "chip")
    monkeypatch.setattr(module, "PRECISIONS", {"cpu": {"fp32": torch.float32}})
    assert set(ceilings("cpu", "chip").flops) == {"fp32"}


def test_the_fastest_call_counts():
    calls = []

    def call():
        calls.append(1)
        torch.ones(1 if len(calls) == 3 else 2_000_000).sum()

    seconds, _ = module.shortest(call, torch.device("cpu"))
    assert len(calls) >= 4
    assert 0 < seconds < 0.0005


def test_it_is_measured_once_and_kept_with_its_date(monkeypatch, tmp_path):
    quiet(monkeypatch)
    lines = []
    first = ceilings("cpu", "chip", lines.append)
    assert len(lines) == 1
    assert str(tmp_path / "sslbench") in lines[0]
    assert ceilings("cpu", "chip", lines.append) == first
    assert len(lines) == 1
    assert json.loads(cache_path("cpu", "chip").read_text())["measured"] == first.measured
    assert ceilings("cpu", "another chip", lines.append).device == "another chip"
    assert len(lines) == 2


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"device": 1}', '{"flops": {"fp32": -1}}', "\x00\xff"],
)
def test_a_damaged_file_is_measured_again(monkeypatch, damage):
    quiet(monkeypatch)
    first = ceilings("cpu", "chip")
    path = cache_path("cpu", "chip")
    path.write_text(damage, encoding="latin-1")
    assert read(path) is None
    lines = []
    again = ceilings("cpu", "chip", lines.append)
    assert lines[0] == f"{path}: damaged or of an older sslbench; measured again"
    assert read(path) == again
    assert again.device == first.device


def test_a_flipped_bit_is_damage(monkeypatch, flipped):
    quiet(monkeypatch)
    ceilings("cpu", "chip")
    path = cache_path("cpu", "chip")
    for damage in flipped(path):
        path.write_bytes(damage)
        assert read(path) is None


@pytest.mark.parametrize("wrong", [{"flops": {"fp32": 0}}, {"flops": {"fp32": "fast"}}, {"measured": 3}])
def test_figures_that_cannot_be_are_a_damaged_file(monkeypatch, wrong):
    quiet(monkeypatch)
    ceilings("cpu", "chip")
    path = cache_path("cpu", "chip")
    write_json(path, json.loads(path.read_text()) | wrong)
    assert read(path) is None


def test_what_was_measured_beside_other_programs_is_measured_again_and_the_higher_kept(monkeypatch):
    quiet(monkeypatch, busy=True)
    assert ceilings("cpu", "chip").contended
    path = cache_path("cpu", "chip")
    high = json.loads(path.read_text()) | {"flops": {"fp32": 1e15, "bf16": None}}
    write_json(path, high)
    quiet(monkeypatch)
    found = ceilings("cpu", "chip")
    assert not found.contended
    assert found.flops["fp32"] == 1e15
    assert found.flops["bf16"] < 1e15


def test_the_higher_of_two():
    other = replace(KNOWN, flops={"fp32": 1e11, "bf16": 9e11}, copy_bytes_per_second=None, measured="later")
    found = highest(KNOWN, other)
    assert (found.flops, found.copy_bytes_per_second) == ({"fp32": 2e11, "bf16": 9e11}, 4e10)
    assert found.measured == "later"


def test_utilisation_is_a_share_of_the_ceiling_and_unknown_where_that_is():
    assert KNOWN.utilisation(1e11, "fp32") == 0.5
    assert KNOWN.utilisation(1e11, "bf16") is None
    assert KNOWN.utilisation(1e11, "fp16") is None
    assert KNOWN.utilisation(None, "fp32") is None


def test_a_cache_that_cannot_be_written_costs_only_time(monkeypatch, tmp_path):
    quiet(monkeypatch)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert ceilings("cpu", "chip").flops["fp32"] > 0


def test_a_precision_that_the_device_lacks_is_none(monkeypatch):
    def refuse(call, device):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(module, "shortest", refuse)
    found = measure("cpu", "chip")
    assert found.flops == {"fp32": None, "bf16": None}
    assert found.copy_bytes_per_second is None
