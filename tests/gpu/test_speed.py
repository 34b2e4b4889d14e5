"""``sslbench speed`` on either device: rows, end to end, compiled, the largest batch, and rows that go wrong."""

from __future__ import annotations

from functools import partial

import pytest
import torch

FULL = "method.mask_tokens_in_encoder=true"
ROW = "-b convnet-small:width=4 --image-size 8 --batch-size 4 --steps 10 --format json --out out".split()


def test_a_step_and_end_to_end(ask, device):
    (record,) = ask("speed", "-m", "simclr", "-d", "digits", *ROW).records
    assert (record["status"], record["reason"]) == ("done", None)
    speed = record["speed"]
    assert speed["images_per_second"] > 0
    assert speed["end_to_end"]["images_per_second"] > 0
    assert record["provenance"]["device"] == device
    assert "simclr" in ask("results", "out", on_device=False).out


def test_methods_with_masks_and_a_baseline_in_turn(ask):
    mae = "mae:decoder_depth=1,decoder_dim=16,decoder_heads=2"
    vit = "vit-tiny-small-image:dim=16,depth=1,heads=2"
    given = f"speed -m {mae} -b {vit} -k random:ratio=0.75 --image-size 8 --batch-size 4 --steps 10".split()
    records = ask(
        *given, "--baseline", "method.mask_tokens_in_encoder=true", "--format", "json", "--out", "out"
    ).records
    assert {record["status"] for record in records} == {"done"}
    assert len(records) == 2


@pytest.mark.parametrize("how", ["compile", "cuda-graphs", "compile+cuda-graphs"])
def test_compiled(ask, device, how, monkeypatch):
    given = ["speed", "-m", "simclr", "-d", "digits", *ROW, "--compile", f"eager,{how}"]
    if device == "cpu" and "graphs" in how:
        assert f"--compile {how} needs a GPU; allowed on a CPU: eager, compile" in ask(*given, code=2).err
        return
    if device == "cpu":  # captured, and not handed to a compiler, which takes half a minute
        monkeypatch.setattr(torch, "compile", partial(compiled, torch.compile))
    records = ask(*given).records
    assert [record["status"] for record in records] == ["done", "done"]


def compiled(compile, function, mode=None, **options):
    return compile(function, **options, backend="aot_eager")


def test_the_largest_batch(ask, little_memory):
    (record,) = ask("speed", "-m", "simclr", *ROW, "--find-batch").records
    assert record["speed"]["largest_batch"]["batch"] >= 4


def test_a_row_without_room_loses_no_other(ask, device, little_memory):
    width = {"cuda": 1024, "cpu": 2**22}[device]
    # It is not left out for its arithmetic.
    given = ["speed", "-m", "simclr", "-b", f"convnet-small:width={width}", *ROW, "--seconds", "1e15"]
    large, small = ask(*given, code=1).records
    assert (large["status"], small["status"]) == ("oom", "done"), large["reason"]
