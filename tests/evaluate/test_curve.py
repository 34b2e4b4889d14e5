"""Curves: what evaluators measure while a method trains, and that the training is the same with and without."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sslbench.contracts.evaluator import Metric
from sslbench.contracts.executor import CurveRequest, Evaluation, PluginChoice
from sslbench.evaluate.run import save_per_image
from sslbench.hooks.registry import Registry
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.store.digests import DamagedFile
from sslbench.train.checkpoint import load_tensors

KNN = PluginChoice("knn")
PLUGIN = """
    import torch
    from sslbench import EvaluatorSpec, Metric, hookimpl

    class WithModel:
        def evaluate(self, data):
            images = data.model.images("test", torch.arange(4))
            assert not data.model.method.training
            {does}

    @hookimpl
    def sslbench_evaluators():
        return [
            EvaluatorSpec(
                name="{name}", summary="x", build=lambda params, context: WithModel(), uses_model=True, headline="total"
            )
        ]
"""


@pytest.fixture
def run(small_work, do_work):
    """Three epochs with a curve; returns the record, the warnings and the stages."""

    def run(out, every=1, evaluators=(KNN,), method="simclr", registry=None):
        asked = {"every": every, "evaluators": [{"name": choice.name, "code": "1"} for choice in evaluators]}
        curve = CurveRequest(every, tuple(evaluators), asked) if every else None
        emitted = do_work(small_work(out, method, training={"epochs": 3}, curve=curve), registry)
        (record,) = emitted.records
        return record, emitted.warnings, emitted.stages

    return run


@pytest.fixture
def evaluator(distribution):
    """An evaluator that is given the model and ``does`` something with it, and a registry that knows it."""

    def make(does, name):
        module = f"{name}_plugin"
        distribution(name, {f"evaluator.{name}": module}, {module: PLUGIN.format(does=does, name=name)})
        return Registry(), PluginChoice(name)

    return make


def test_the_last_point_is_the_result_and_the_training_the_same_as_without_a_curve(tmp_path, run):
    without, _, _ = run(tmp_path / "a", every=0)
    record, _, _ = run(tmp_path / "b", every=2)
    training = record.pretraining
    assert [point.epoch for point in training.curve] == [2, 3]
    assert tuple(point.loss for point in training.curve) == training.losses[1:]
    last = {name: replace(value, evaluator="knn") for name, value in without.metrics.items()}
    assert training.curve[-1].metrics == last
    assert record.metrics == without.metrics
    assert training.losses == without.pretraining.losses
    assert training.losses[-1] == training.final_loss == without.pretraining.final_loss
    assert training.curve_seconds > 0
    assert without.pretraining.curve is None
    first, second = (load_tensors(pretraining_files(tmp_path / part, "k0").weights)[0] for part in "ab")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_curve_that_is_missing_or_of_other_settings_is_made_by_training_again(tmp_path, run):
    run(tmp_path, every=0)
    stages = [run(tmp_path, every=every)[2] for every in (1, 1, 0, 2)]
    assert ["training" in names for names in stages] == [True, False, False, True]
    record, _, _ = run(tmp_path, every=0)
    assert [point.epoch for point in record.pretraining.curve] == [2, 3], "a curve does not go away"


def test_a_curve_that_is_read_back_is_the_one_that_was_written(tmp_path, run):
    made, _, _ = run(tmp_path)
    again, _, stages = run(tmp_path)
    assert "training" not in stages
    assert again.pretraining == made.pretraining
    assert again.pretraining.curve_asked == {"every": 1, "evaluators": [{"name": "knn", "code": "1"}]}


def test_an_untrained_method_has_no_curve(tmp_path, run):
    record, _, _ = run(tmp_path, every=0, method="random-init")
    assert (record.pretraining.curve, record.pretraining.losses) == (None, None)


def test_an_evaluator_is_given_the_model_as_it_is_then(tmp_path, run, evaluator):
    does = 'return [Metric("total", float(data.model.method.encoder(images).sum().detach()), std=float("nan"))]'
    registry, choice = evaluator(does, "totalmodel")
    record, _, _ = run(tmp_path, evaluators=(KNN, choice), registry=registry)
    totals = [point.metrics["total"] for point in record.pretraining.curve]
    assert len({total.value for total in totals}) == 3
    assert totals[0].std is None, "JSON has no NaN"
    json.dumps(record.pretraining.to_json(), allow_nan=False)


def test_an_evaluator_that_fails_costs_its_points_and_no_training(tmp_path, run, evaluator):
    registry, choice = evaluator('raise ValueError("no can do")', "failing")
    record, warnings, _ = run(tmp_path, evaluators=(KNN, choice), registry=registry)
    assert record.status == "done"
    for point in record.pretraining.curve:
        assert point.metrics["knn_top1"].value is not None
        assert point.metrics["total"].reason == "ValueError: no can do"
        assert point.metrics["total"].value is None
    assert "curve: evaluator 'failing': ValueError: no can do" in warnings


def test_an_evaluator_that_changes_what_is_trained_ends_the_training(tmp_path, run, evaluator):
    does = 'next(data.model.method.parameters()).data += 1; return [Metric("total", 1.0)]'
    registry, choice = evaluator(does, "changing")
    record, _, _ = run(tmp_path, evaluators=(choice,), registry=registry)
    assert record.status == "failed"
    assert "an evaluator of the curve (changing) changed the model that it evaluates" in record.reason


def test_metrics_of_each_image_lie_beside_the_record_and_not_in_it(tmp_path, small_work, do_work, evaluator):
    does = 'return [Metric("total", 0.5, per_image=(torch.arange(len(data.test.features)) == 0).float())]'
    registry, choice = evaluator(does, "perimage")
    work = replace(small_work(tmp_path, training={"epochs": 3}), evaluations=(Evaluation("c", choice),))
    (record,) = do_work(work, registry).records
    assert "per_image" not in record.to_json()["metrics"]["total"]
    arrays = read_per_image(pretraining_files(tmp_path, "k0").per_image("c"))
    assert {name: (array.dtype.name, array.tolist()) for name, array in arrays.items()} == {
        "total": ("uint8", [1, *[0] * (record.data.test_images - 1)])
    }


def test_per_image_metrics_are_kept_small(tmp_path):
    metrics = [
        Metric("right", 0.5, per_image=torch.tensor([True, False])),
        Metric("share", 0.5, per_image=torch.tensor([0.25, 0.75])),
        Metric("without", 0.5),
        Metric("undefined", None, per_image=torch.tensor([1.0])),
    ]
    save_per_image(tmp_path / "c.safetensors", metrics)
    tensors, _ = load_tensors(tmp_path / "c.safetensors")
    assert {name: values.dtype for name, values in tensors.items()} == {"right": torch.uint8, "share": torch.float16}


def test_without_such_a_file_nothing_is_known_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    assert read_per_image(path) == {}
    path.write_bytes(b"not one")
    with pytest.raises(DamagedFile, match=r"c\.safetensors: damaged or of an older sslbench: it has no digest"):
        read_per_image(path)
