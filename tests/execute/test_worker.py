from __future__ import annotations

import math
import shutil

import pytest
import torch

from sslbench.contracts.evaluator import Metric
from sslbench.contracts.executor import Evaluation, Work
from sslbench.errors import Diverged, TimeLimit, UserError
from sslbench.evaluate.metrics import described_metric
from sslbench.execute import built, outcome
from sslbench.execute.failure import reason_of, status_of
from sslbench.execute.worker import run_work
from sslbench.train.checkpoint import load_tensors, save_tensors

TRAINING = {
    "epochs": 1,
    "accumulate": 1,
    "batch_size": 64,
    "image_size": None,
    "train_images": 128,
    "evaluate_on": "validation",
    "device": "cpu",
    "precision": "fp32",
    "compile": False,
    "time_limit": None,
    "checkpoint_every": 15.0,
}


def work(out, method="simclr", evaluators=("knn",), training=None, key="k0", **plugins):
    chosen = {
        "method": {"name": method, "params": {}},
        "dataset": {"name": "digits", "params": {}},
        "backbone": {"name": "convnet-small", "params": {"width": 4}},
        "augmentation": {"name": "affine", "params": {}},
        **plugins,
    }
    evaluations = tuple(Evaluation(name, {}, {"cell": f"cell-{name}"}) for name in evaluators)
    return Work(key, chosen, 0, {**TRAINING, **(training or {})}, None, evaluations, str(out))


def run(piece):
    events = []
    run_work(piece, events.append)
    return [e.facts for e in events if e.kind == "record"], events


def test_one_piece_of_work_leaves_a_whole_record_per_evaluator(tmp_path):
    records, events = run(work(tmp_path, evaluators=("knn", "linear-probe")))
    assert [r["cell"] for r in records] == ["cell-knn", "cell-linear-probe"]
    assert [r["headline"] for r in records] == ["knn_top1", "linear_top1"]
    for record in records:
        assert (record["status"], record["reason"], record["traceback"]) == ("done", None, None)
        assert record["pretraining"]["key"] == "k0"
        assert (record["pretraining"]["steps"], record["pretraining"]["epochs"]) == (2, 1)
        for name in ("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share", "flops_per_image"):
            assert math.isfinite(record["pretraining"][name])
        assert record["features"]["dim"] == 16
        assert record["features"]["images_per_second"] > 0
        assert record["provenance"]["torch"] == torch.__version__
        assert all(0 <= m["value"] <= 1 for m in record["metrics"].values() if m["unit"] == "")
    steps = [e.facts for e in events if e.kind == "steps"]
    assert [len(s["step_ms"]) for s in steps] == [2]
    assert not (tmp_path / "artifacts/k0/checkpoint.safetensors").exists()


def test_what_is_trained_and_extracted_is_not_done_again(tmp_path):
    first, _ = run(work(tmp_path))
    again, events = run(work(tmp_path, evaluators=("knn", "linear-probe")))
    assert again[0]["metrics"] == first[0]["metrics"]
    assert again[0]["pretraining"] == first[0]["pretraining"]
    assert [e.facts["text"] for e in events if e.kind == "stage"] == ["judging knn", "judging linear-probe"]


def test_evaluators_say_the_same_of_features_from_the_cache_and_of_fresh_ones(tmp_path):
    shapes = {"name": "shapes", "params": {"train_images": 160, "test_images": 60, "image_size": 16}}
    evaluators = ("knn", "linear-probe", "few-label", "retrieval", "invariance", "label-free")
    piece = work(tmp_path, "random-init", evaluators, {"evaluate_on": "test"}, dataset=shapes)
    fresh, events = run(piece)
    assert "extracting features" in stages(events)
    cached, events = run(piece)
    assert "extracting features" not in stages(events)
    assert len(fresh) == len(evaluators)
    for one, other in zip(fresh, cached, strict=True):
        assert one["status"] == "done", one["reason"]
        assert one["metrics"] == other["metrics"]
        assert any(metric["value"] is not None for metric in one["metrics"].values())


def stages(events):
    return [e.facts["text"] for e in events if e.kind == "stage"]


def warnings(events):
    return [e.facts["text"] for e in events if e.kind == "warning"]


def spoilt(path, change):
    """Another weights file of the same layout."""
    tensors, facts = load_tensors(path)
    save_tensors(path, {name: change(tensor) for name, tensor in tensors.items()}, facts)


def test_features_of_other_weights_are_not_reused(tmp_path):
    first, _ = run(work(tmp_path))
    weights = tmp_path / "artifacts/k0/weights.safetensors"
    spoilt(weights, lambda tensor: -tensor if tensor.is_floating_point() and tensor.ndim == 4 else tensor)
    other, events = run(work(tmp_path))
    assert "features.safetensors was made with weights " in warnings(events)[0]
    assert warnings(events)[0].endswith("; features are extracted again")
    assert "extracting features" in stages(events)
    assert "training" not in stages(events)
    assert other[0]["features"]["spread"] != first[0]["features"]["spread"]
    again, events = run(work(tmp_path))
    assert "extracting features" not in stages(events)
    assert again[0]["metrics"] == other[0]["metrics"]


def test_features_of_another_pretraining_are_not_reused(tmp_path):
    run(work(tmp_path, "raw-pixels", backbone=None, key="a"))
    before, _ = run(work(tmp_path, "random-init", key="b"))
    shutil.copy(tmp_path / "artifacts/a/features.safetensors", tmp_path / "artifacts/b/features.safetensors")
    after, events = run(work(tmp_path, "random-init", key="b"))
    assert "features.safetensors was made with key a, not b" in warnings(events)[0]
    assert after[0]["metrics"] == before[0]["metrics"]
    assert after[0]["features"]["dim"] == before[0]["features"]["dim"]


def test_features_of_another_precision_are_not_reused(tmp_path):
    run(work(tmp_path, "random-init"))
    _, events = run(work(tmp_path, "random-init", training={"precision": "bf16"}))
    assert "features.safetensors was made with precision fp32, not bf16" in warnings(events)[0]


def test_features_outlive_weights_that_are_gone(tmp_path):
    first, _ = run(work(tmp_path))
    (tmp_path / "artifacts/k0/weights.safetensors").unlink()
    again, events = run(work(tmp_path))
    assert again[0]["metrics"] == first[0]["metrics"]
    assert stages(events) == ["judging knn"]


def test_lost_features_are_extracted_again_from_the_same_weights(tmp_path):
    first, _ = run(work(tmp_path))
    (tmp_path / "artifacts/k0/features.safetensors").write_bytes(b"damaged")
    again, events = run(work(tmp_path))
    assert again[0]["metrics"] == first[0]["metrics"]
    assert "training" not in [e.facts.get("text") for e in events]


def test_a_baseline_trains_nothing_and_says_so(tmp_path):
    records, _ = run(work(tmp_path, "raw-pixels", backbone=None))
    took = records[0]["pretraining"]
    assert (took["steps"], took["seconds"], took["images_per_second"]) == (0, 0.0, None)
    assert records[0]["features"]["dim"] == 192


def test_a_loss_that_is_not_finite_is_recorded_as_diverged_with_null_metrics(tmp_path):
    method = {"name": "simclr", "params": {"lr": 1e30, "optimizer": "sgd", "warmup_epochs": 0}}
    records, _ = run(broken(tmp_path, method))
    assert records[0]["status"] == "diverged"
    assert "the loss was nan within epoch 1" in records[0]["reason"]
    assert [m["value"] for m in records[0]["metrics"].values()] == [None]
    assert "Diverged" in records[0]["traceback"]


def broken(out, method):
    piece = work(out, training={"epochs": 4})
    return Work(piece.key, {**piece.plugins, "method": method}, 0, piece.training, None, piece.evaluations, piece.out)


def test_a_time_limit_is_recorded(tmp_path):
    records, _ = run(work(tmp_path, training={"time_limit": 1e-6, "epochs": 3}))
    assert records[0]["status"] == "timeout"


def test_features_without_spread_are_recorded_as_collapsed(tmp_path, monkeypatch):
    monkeypatch.setattr(outcome, "COLLAPSED_SPREAD", 10.0)
    records, _ = run(work(tmp_path))
    assert records[0]["status"] == "collapsed"
    assert "features of different images are all but equal" in records[0]["reason"]


def test_equal_embeddings_are_recorded_as_collapsed_though_features_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(outcome, "COLLAPSED_EMBEDDINGS", 10.0)
    records, _ = run(work(tmp_path, "byol"))
    assert records[0]["status"] == "collapsed"
    assert "embeddings that the loss compares are all but equal: spread" in records[0]["reason"]


def test_one_evaluator_that_raises_leaves_the_others_alone(tmp_path):
    piece = work(tmp_path, evaluators=("knn", "linear-probe"))
    wrong = Evaluation("knn", {"k": -1}, {"cell": "bad"})
    piece = Work(piece.key, piece.plugins, 0, piece.training, None, (wrong, *piece.evaluations), piece.out)
    records, _ = run(piece)
    assert [r["status"] for r in records] == ["failed", "done", "done"]
    assert "Traceback" in records[0]["traceback"]


def test_a_data_set_that_cannot_be_read_fails_its_cells_and_is_read_once(tmp_path, monkeypatch):
    calls = []

    def unreadable(*args, **kwargs):
        calls.append(1)
        raise UserError("digits are out", "and more")

    built._LAST_DATASET.clear()
    monkeypatch.setattr(built, "build_chosen", unreadable)
    for key in ("a", "b"):
        records, _ = run(work(tmp_path, key=key))
        assert (records[0]["status"], records[0]["reason"]) == ("failed", "digits are out; and more")
    assert len(calls) == 1
    built._LAST_DATASET.clear()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Diverged("x"), "diverged"),
        (TimeLimit("x"), "timeout"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (ValueError("x"), "failed"),
    ],
)
def test_statuses_of_errors(error, status):
    assert status_of(error) == status


def test_reasons_are_one_line():
    assert reason_of(UserError("first", "second")) == "first; second"
    assert reason_of(ValueError("a\nb")) == "ValueError: a"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_becomes_null_with_a_reason(value):
    _, entry = described_metric(Metric("m", value))
    assert entry["value"] is None
    assert entry["reason"] == f"the evaluator answered {value}"
