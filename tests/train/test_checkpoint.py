from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sslbench.contracts.params import MethodParams
from sslbench.errors import PluginError
from sslbench.store.atomic import write_atomically
from sslbench.store.digests import FIELD, DamagedFile
from sslbench.train.checkpoint import (
    DTYPES,
    load_tensors,
    restore_training,
    save_tensors,
    training_state,
    weights_digest,
)
from sslbench.train.optimizers import build_optimizer


def trained_pair(name, seed=0, steps=2):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    params = MethodParams(optimizer=name, lr=0.1, lr_batch=0)
    optimizer = build_optimizer(params, [{"params": list(model.parameters())}], 8)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize("name", ["adamw", "sgd", "lars"])
def test_restored_training_continues_bit_for_bit(tmp_path, name):
    model, optimizer = trained_pair(name)
    tensors, facts = training_state(model, optimizer)
    save_tensors(tmp_path / "c.safetensors", tensors, facts)
    other, other_optimizer = trained_pair(name, seed=1, steps=0)
    restore_training(other, other_optimizer, *load_tensors(tmp_path / "c.safetensors"))
    for one, opt in ((model, optimizer), (other, other_optimizer)):
        torch.manual_seed(5)
        opt.zero_grad()
        one(torch.randn(8, 3)).square().mean().backward()
        opt.step()
    assert weights_digest(model) == weights_digest(other)


def test_the_file_is_that_of_safetensors_but_for_its_digest(tmp_path):
    """Of every type of numbers, in any layout."""
    tensors = {name: torch.arange(7).to(dtype) for dtype, name in DTYPES.items()}
    tensors |= {"last": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)}
    tensors |= {"none": torch.zeros(0, 3), "one": torch.tensor(3.0), "mT": torch.rand(2, 3).mT}
    digest = save_tensors(tmp_path / "ours", tensors, {"n": 1})
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, tmp_path / "theirs", {"format": "1", "facts": '{"n": 1}', FIELD: digest})
    assert contents(tmp_path / "ours") == contents(tmp_path / "theirs")
    read, facts = load_tensors(tmp_path / "ours")
    assert facts == {"n": 1}
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in tensors.items())


def contents(path):
    """Metadata, and type, shape and bytes of each tensor, which may follow in another order."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    head, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    read = {"__metadata__": head.pop("__metadata__")}
    for name, about in head.items():
        begin, end = about.pop("data_offsets")
        read[name] = about, data[begin:end]
    return read


def test_numbers_that_no_file_holds_are_named(tmp_path):
    words = r"^weight: a file of tensors holds no torch\.complex128; allowed: float64, float32, .*, uint8, bool$"
    with pytest.raises(PluginError, match=words):
        save_tensors(tmp_path / "f", {"weight": torch.zeros(2, dtype=torch.complex128)}, {})
    assert list(tmp_path.iterdir()) == []


def test_tied_tensors_survive(tmp_path):
    w = torch.ones(2)
    save_tensors(tmp_path / "t", {"a": w, "b": w, "c": w[:1]}, {"n": 1})
    tensors, facts = load_tensors(tmp_path / "t")
    assert facts == {"n": 1}
    assert torch.equal(tensors["b"], w)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "f"
    save_tensors(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DamagedFile, match="f: damaged: its bytes do not match its digest"):
        load_tensors(path)


def test_the_digest_sees_weights_and_buffers():
    model = nn.BatchNorm1d(3)
    before = weights_digest(model)
    model.running_mean[0] += 1
    after = weights_digest(model)
    assert before != after
    model.weight.data[0] += 1e-7
    assert weights_digest(model) != after
