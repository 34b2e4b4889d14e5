from __future__ import annotations

import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sslbench.contracts.evaluator import Metric
from sslbench.contracts.executor import Evaluation, PluginChoice
from sslbench.errors import Diverged, TimeLimit, UserError
from sslbench.evaluate.run import metric_value
from sslbench.execute import outcome, pretraining
from sslbench.execute.events import StepsTimed
from sslbench.execute.outcome import reason_of, status_of
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.store.record import TrainingFacts
from sslbench.train import task
from sslbench.train.checkpoint import load_tensors, save_tensors


@pytest.fixture
def run(small_work, do_work):
    """Make a piece of work and do it; returns the records and all events."""

    def run(*args, **kwargs):
        emitted = do_work(small_work(*args, **kwargs))
        return emitted.records, emitted

    return run


def test_one_piece_of_work_leaves_a_whole_record_per_evaluator(tmp_path, run):
    records, emitted = run(tmp_path, evaluators=("knn", "linear-probe"))
    assert [r.cell for r in records] == ["cell-knn", "cell-linear-probe"]
    assert [r.headline for r in records] == ["knn_top1", "linear_top1"]
    for record in records:
        assert (record.status, record.reason, record.traceback) == ("done", None, None)
        assert record.pretraining.key == "k0"
        assert (record.pretraining.steps, record.pretraining.epochs) == (2, 1)
        for name in ("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share", "flops_per_image"):
            assert math.isfinite(getattr(record.pretraining, name))
        assert record.features.dim == 16
        assert record.features.images_per_second > 0
        assert record.provenance["torch"] == torch.__version__
        assert all(0 <= m.value <= 1 for m in record.metrics.values() if m.unit == "")
    assert [len(e.step_ms) for e in emitted.events if isinstance(e, StepsTimed)] == [2]
    assert not (tmp_path / "artifacts/k0/checkpoint.safetensors").exists()


@pytest.mark.parametrize(("precision", "rounded"), [("fp32", False), ("bf16", True)])
def test_features_are_computed_in_the_precision_of_the_training_and_kept_in_float32(tmp_path, run, precision, rounded):
    run(tmp_path, training={"precision": precision})
    tensors, facts = load_tensors(tmp_path / "artifacts/k0/features.safetensors")
    features = tensors["train/features"]
    assert features.dtype == torch.float32
    assert torch.equal(features, features.bfloat16().float()) == rounded
    assert facts["made_of"]["precision"] == precision


ENDS = [
    "SystemExit(0)",
    "GeneratorExit()",
    "type('Own', (BaseException,), {})('mine')",
    "__import__('asyncio').CancelledError()",
]
ENDING_EVALUATOR = """
from sslbench import EvaluatorSpec, Metric, hookimpl

class Ends:
    def evaluate(self, data):
        yield Metric("ends_score", 0.5)
        raise {error}

@hookimpl
def sslbench_evaluators():
    return [EvaluatorSpec(name="ends", headline="ends_score", build=lambda params, context: Ends())]
"""


@pytest.mark.parametrize("error", ENDS)
def test_whatever_an_evaluator_ends_in_is_a_failed_record_and_the_others_go_on(
    tmp_path, distribution, small_work, do_work, error
):
    distribution("ends", {"evaluator.ends": "ends_plugin"}, {"ends_plugin": ENDING_EVALUATOR.format(error=error)})
    records = do_work(small_work(tmp_path, "random-init", evaluators=("ends", "knn")), Registry()).records
    assert [record.status for record in records] == ["failed", "done"]
    assert records[0].metrics["ends_score"].value is None
    assert records[0].reason.split(":")[0] in ("SystemExit", "GeneratorExit", "Own", "CancelledError")
    assert "ends_plugin.py" in records[0].traceback


def test_keyboard_interrupt_ends_the_work(tmp_path, distribution, small_work, do_work):
    source = ENDING_EVALUATOR.format(error="KeyboardInterrupt")
    distribution("ends", {"evaluator.ends": "ends_plugin"}, {"ends_plugin": source})
    with pytest.raises(KeyboardInterrupt):
        do_work(small_work(tmp_path, "random-init", evaluators=("ends",)), Registry())


def test_what_is_trained_and_extracted_is_not_done_again(tmp_path, run):
    first, _ = run(tmp_path)
    again, emitted = run(tmp_path, evaluators=("knn", "linear-probe"))
    assert again[0].metrics == first[0].metrics
    assert again[0].pretraining == first[0].pretraining
    assert emitted.stages == ["evaluating knn", "reading images", "evaluating linear-probe"]


def test_evaluators_measure_the_same_on_features_from_the_cache_and_of_fresh_ones(tmp_path, run):
    shapes = PluginChoice("shapes", {"train_images": 160, "test_images": 60, "image_size": 16})
    evaluators = ("knn", "linear-probe", "few-label", "retrieval", "invariance", "label-free")
    training = {"evaluate_on": "test", "train_images": 128}
    fresh, emitted = run(tmp_path, "random-init", evaluators, training, plugins={"dataset": shapes})
    assert "extracting features" in emitted.stages
    cached, emitted = run(tmp_path, "random-init", evaluators, training, plugins={"dataset": shapes})
    assert "extracting features" not in emitted.stages
    assert len(fresh) == len(evaluators)
    for record, again in zip(fresh, cached, strict=True):
        assert record.status == "done", record.reason
        assert record.metrics == again.metrics
        assert any(metric.value is not None for metric in record.metrics.values())


def change_weights(path, change):
    """Write another file of the same layout."""
    tensors, facts = load_tensors(path)
    save_tensors(path, {name: change(tensor) for name, tensor in tensors.items()}, facts)


def test_features_of_other_weights_are_not_reused(tmp_path, run):
    first, _ = run(tmp_path)
    weights = tmp_path / "artifacts/k0/weights.safetensors"
    change_weights(weights, lambda tensor: -tensor if tensor.is_floating_point() and tensor.ndim == 4 else tensor)
    other, emitted = run(tmp_path)
    assert "features.safetensors was made with weights " in emitted.warnings[0]
    assert emitted.warnings[0].endswith("; features are extracted again")
    assert "extracting features" in emitted.stages
    assert "training" not in emitted.stages
    assert other[0].features.spread != first[0].features.spread
    again, emitted = run(tmp_path)
    assert "extracting features" not in emitted.stages
    assert again[0].metrics == other[0].metrics


def test_features_of_another_pretraining_are_not_reused(tmp_path, run):
    run(tmp_path, "raw-pixels", plugins={"backbone": None}, key="a")
    before, _ = run(tmp_path, "random-init", key="b")
    shutil.copy(tmp_path / "artifacts/a/features.safetensors", tmp_path / "artifacts/b/features.safetensors")
    after, emitted = run(tmp_path, "random-init", key="b")
    assert "features.safetensors was made with key a, not b" in emitted.warnings[0]
    assert after[0].metrics == before[0].metrics
    assert after[0].features.dim == before[0].features.dim


def test_features_of_another_precision_are_not_reused(tmp_path, run):
    run(tmp_path, "random-init")
    _, emitted = run(tmp_path, "random-init", training={"precision": "bf16"})
    assert "features.safetensors was made with precision fp32, not bf16" in emitted.warnings[0]


def test_features_outlive_weights_that_are_gone(tmp_path, run):
    first, _ = run(tmp_path)
    (tmp_path / "artifacts/k0/weights.safetensors").unlink()
    again, emitted = run(tmp_path)
    assert again[0].metrics == first[0].metrics
    assert emitted.stages == ["evaluating knn", "reading images"]


def test_lost_features_are_extracted_again_from_the_same_weights(tmp_path, run):
    first, _ = run(tmp_path)
    (tmp_path / "artifacts/k0/features.safetensors").write_bytes(b"damaged")
    again, emitted = run(tmp_path)
    assert again[0].metrics == first[0].metrics
    assert "training" not in emitted.stages


def test_lost_features_are_extracted_in_the_memory_layout_of_the_training(tmp_path, run, monkeypatch):
    """Weights in a file have none, and on it depend the speed of a convolution and its last bits."""
    layouts, extract_all = [], pretraining.extract_all

    def look(encoder, *given):
        kernels = [p for p in encoder.parameters() if p.ndim == 4]
        layouts.append({p.is_contiguous(memory_format=torch.channels_last) for p in kernels})
        return extract_all(encoder, *given)

    monkeypatch.setattr(pretraining, "extract_all", look)
    run(tmp_path)
    (tmp_path / "artifacts/k0/features.safetensors").unlink()
    run(tmp_path)
    assert layouts == [{True}, {True}]


def test_a_baseline_trains_nothing_and_its_record_shows_it(tmp_path, run):
    records, _ = run(tmp_path, "raw-pixels", plugins={"backbone": None})
    training = records[0].pretraining
    assert (training.steps, training.seconds, training.images_per_second) == (0, 0.0, None)
    assert records[0].features.dim == 192


def test_a_loss_that_is_not_finite_is_recorded_as_diverged_with_null_metrics(tmp_path, run):
    method = PluginChoice("simclr", {"lr": 1e30, "optimizer": "sgd", "warmup_epochs": 0})
    records, _ = run(tmp_path, method, training={"epochs": 4})
    assert records[0].status == "diverged"
    assert "the loss was nan within epoch 1" in records[0].reason
    assert [m.value for m in records[0].metrics.values()] == [None]
    assert "Diverged" in records[0].traceback


def test_a_time_limit_is_recorded(tmp_path, run):
    records, _ = run(tmp_path, training={"time_limit": 1e-6, "epochs": 3})
    assert records[0].status == "timeout"


def test_features_without_spread_are_recorded_as_collapsed(tmp_path, run, monkeypatch):
    monkeypatch.setattr(outcome, "COLLAPSED_SPREAD", 10.0)
    records, _ = run(tmp_path)
    assert records[0].status == "collapsed"
    assert "features of different images are all but equal" in records[0].reason


def test_equal_embeddings_are_recorded_as_collapsed_though_features_differ(tmp_path, run, monkeypatch):
    monkeypatch.setattr(outcome, "COLLAPSED_EMBEDDINGS", 10.0)
    records, _ = run(tmp_path, "byol")
    assert records[0].status == "collapsed"
    assert "embeddings that the loss compares are all but equal: spread" in records[0].reason


@pytest.mark.parametrize(("loss", "status"), [(6.16, "collapsed"), (6.05, "done")])
def test_a_training_that_ends_at_the_loss_of_a_uniform_answer_is_recorded_as_collapsed(loss, status):
    facts = TrainingFacts(steps=10, final_loss=loss, scalars={"embedding_spread": 0.47, "uniform_loss": math.log(512)})
    features = SimpleNamespace(spread=0.5)
    words = "the loss, 6.16, is all but that of one answer for every image, 6.238"
    assert outcome.status_of_features(facts, features) == (status, words if status == "collapsed" else None)


def test_one_evaluator_that_raises_leaves_the_others_alone(tmp_path, small_work, do_work):
    work = small_work(tmp_path, evaluators=("knn", "linear-probe"))
    wrong = Evaluation("bad", PluginChoice("knn", {"k": -1}))
    records = do_work(replace(work, evaluations=(wrong, *work.evaluations))).records
    assert [r.status for r in records] == ["failed", "done", "done"]
    assert "Traceback" in records[0].traceback


def test_a_data_set_that_cannot_be_read_fails_its_cells_and_is_read_once(tmp_path, run, monkeypatch):
    calls = []

    def unreadable(*args, **kwargs):
        calls.append(1)
        raise UserError("digits are out", "and more")

    task._LAST_DATASET.clear()
    monkeypatch.setattr(Choice, "build", unreadable)
    for key in ("a", "b"):
        records, _ = run(tmp_path, key=key)
        assert (records[0].status, records[0].reason) == ("failed", "digits are out; and more")
    assert len(calls) == 1
    task._LAST_DATASET.clear()


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
    measured = metric_value(Metric("m", value, std=value))
    assert (measured.value, measured.std) == (None, None)
    assert measured.reason == f"the evaluator returned {value}"
