"""``sslbench run`` on either device: precisions, curves, evaluators, and what goes wrong on the way."""

from __future__ import annotations

import math
from functools import partial
from typing import get_args

import pytest
import torch

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError
from sslbench.measure.machine import resolve_precision
from sslbench.train.checkpoint_writer import Checkpoints
from sslbench.train.trainer import Trainer

PRECISIONS = [name for name in get_args(TrainingSettings.model_fields["precision"].annotation) if name != "auto"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_in_each_precision_and_its_table(run_digits, ask, device, precision):
    try:
        resolve_precision(precision, device)
    except UserError as error:
        run_digits("--precision", precision, code=error.exit_code)
        return
    (record,) = run_digits("--precision", precision).records
    assert record["status"] == "done", record["reason"]
    assert 0 <= record["metrics"]["knn_top1"]["value"] <= 1
    training = record["pretraining"]
    assert training["images_per_second"] > 0
    assert training["peak_memory_bytes"] > 0
    assert (record["provenance"]["device"], record["provenance"]["gpu"] is not None) == (device, device == "cuda")
    table = ask("results", "out", on_device=False).out
    assert "simclr" in table


def test_every_kind_of_evaluator(run_digits):
    evaluators = ["knn", "linear-probe", "few-label", "retrieval", "label-free"]
    trained = ["fine-tune:epochs=1,least_steps=2,batch_size=16", "few-label-scratch"]
    asked = [word for name in (*evaluators, *trained) for word in ("-e", name)]
    records = run_digits("--set", "preset=quick", *asked).records
    assert [(record["status"], record["reason"]) for record in records] == [("done", None)] * len(records)
    assert len(records) == len(evaluators) + len(trained)


def test_a_curve_beside_the_training(run_digits):
    given = ["--epochs", "2", "--set", "curve_every=1", "--set", "curve=knn"]
    (record,) = run_digits(*given).records
    curve = record["pretraining"]["curve"]
    assert [point["epoch"] for point in curve] == [1, 2]
    assert all(math.isfinite(point["metrics"]["knn_top1"]["value"]) for point in curve)


def test_compiled_it_trains_too(run_digits, device, monkeypatch):
    if device == "cpu":  # captured, and not handed to a compiler, which takes half a minute
        monkeypatch.setattr(torch, "compile", partial(compiled, torch.compile))
    (record,) = run_digits("--compile").records
    assert (record["status"], record["reason"]) == ("done", None)


def compiled(compile, function, mode=None, **options):
    return compile(function, **options, backend="aot_eager")


@pytest.mark.parametrize("also", [[], ["--compile"]], ids=["alone", "compiled"])
def test_as_cuda_graphs(run_digits, device, also):
    if device == "cpu":
        assert "--cuda-graphs needs a GPU; the device is cpu" in run_digits("--cuda-graphs", *also, code=2).err
        return
    given = ["--epochs", "3", "--set", "curve_every=1", "--set", "curve=knn", *also]
    (plain,) = run_digits(*given).records
    (replayed,) = run_digits(*given, "--cuda-graphs").records
    assert (replayed["status"], replayed["reason"]) == ("done", None)
    assert replayed["pretraining"]["losses"] == pytest.approx(plain["pretraining"]["losses"], rel=2e-2)


def stopped_at(step, monkeypatch, error):
    """Let trainings end with ``error`` when they have done ``step`` steps."""
    train = Trainer._train_step

    def step_or_stop(self, batch, progress):
        if progress.step == step:
            raise error
        train(self, batch, progress)

    monkeypatch.setattr(Trainer, "_train_step", step_or_stop)


def test_a_training_that_was_stopped_goes_on(run_digits, monkeypatch, device):
    given = ["--epochs", "2", "--set", "curve_every=1", "--set", "curve=knn"]
    with monkeypatch.context() as stopping:
        stopping.setattr(Checkpoints, "due", lambda self: True)
        stopped_at(5, stopping, KeyboardInterrupt())
        run_digits(*given, code=130)
    (rest,) = run_digits(*given).records
    (whole,) = run_digits(*given, "--fresh").records
    assert (rest["pretraining"]["resumed_at"], whole["pretraining"]["resumed_at"]) == (5, None)
    assert rest["pretraining"]["steps"] == whole["pretraining"]["steps"] == 8
    same = {"cpu": 0.0, "cuda": 2e-2}[device]  # on a GPU sums are added in any order
    assert rest["pretraining"]["losses"] == pytest.approx(whole["pretraining"]["losses"], rel=same)


def test_a_network_without_room_is_oom_and_the_next_one_trains(run_digits, little_memory, device):
    # 1.4 GB of weights on the GPU; more bytes than a processor can address on the CPU.
    width = {"cuda": 1024, "cpu": 2**22}[device]
    given = ["-b", f"convnet-small:width={width}"]
    large, small = run_digits(*given, code=1).records
    assert (large["status"], small["status"]) == ("oom", "done"), large["reason"]


def test_images_that_are_read_while_it_trains(ask, photos, monkeypatch):
    """Files of a folder, and the same images in memory that the device has no room for, train alike."""
    monkeypatch.setenv("SSLBENCH_CACHE", "cache")
    given = f"run -d {photos} -m simclr -b convnet-small:width=4 -e knn --batch-size 8 --epochs 1".split()
    losses = {}
    for name, large in (("in memory", 2**40), ("files", 0)):
        monkeypatch.setattr("sslbench_plugins.blocks.images_on_disk.encoded.LARGE", large)
        (record,) = ask(*given, "--format", "json", "--out", name).records
        assert (record["status"], record["reason"]) == ("done", None)
        losses[name] = record["pretraining"]["final_loss"]
    assert losses["files"] == pytest.approx(losses["in memory"], rel=1e-2)


def test_what_was_trained_embeds_elsewhere(run_digits, ask, photos, device):
    run_digits()
    ask("export", "out", "-o", "encoder", on_device=False)
    ask("embed", str(photos), "-m", "encoder", "-o", "features.npz")
    ask("recipe", str(photos), "-m", "encoder", "--no-scratch", "--out", "advice")
    labels = ask("predict", "advice/head", str(photos / "red"), "--format", "csv").out
    assert labels.count("red") >= 16
