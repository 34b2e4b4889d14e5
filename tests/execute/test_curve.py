from __future__ import annotations

import json

import pytest
import torch

from sslbench.contracts.evaluator import Metric
from sslbench.contracts.executor import Evaluation, Work
from sslbench.evaluate.metrics import per_image
from sslbench.execute.worker import run_work
from sslbench.hooks.registry import Registry
from sslbench.store.artifacts import pretraining_files, read_per_image
from sslbench.train.checkpoint import load_tensors

TRAINING = {"epochs": 3, "accumulate": 1, "batch_size": 64, "image_size": None, "train_images": 128}
TRAINING |= {"evaluate_on": "validation", "device": "cpu", "precision": "fp32", "compile": False}
TRAINING |= {"time_limit": None, "checkpoint_every": 15.0}
KNN = {"name": "knn", "params": {}, "code": "1"}
PLUGIN = """
    import torch
    from sslbench import EvaluatorSpec, Metric, hookimpl

    class Odd:
        def evaluate(self, data):
            images = data.model.images("test", torch.arange(4))
            assert not data.model.method.training
            {does}

    @hookimpl
    def sslbench_evaluators():
        return [
            EvaluatorSpec(
                name="{name}", summary="x", build=lambda params, context: Odd(), uses_model=True, headline="odd", citation="x"
            )
        ]
"""


def work(out, every=1, evaluators=(KNN,), method="simclr", key="k0"):
    plugins = {
        "method": {"name": method, "params": {}},
        "dataset": {"name": "digits", "params": {}},
        "backbone": {"name": "convnet-small", "params": {"width": 4}},
        "augmentation": {"name": "affine", "params": {}},
    }
    evaluations = (Evaluation("knn", {}, {"cell": "cell-knn"}),)
    curve = {"every": every, "evaluators": list(evaluators)} if every else {}
    return Work(key, plugins, 0, TRAINING, None, evaluations, str(out), curve=curve)


def run(piece, registry=None):
    events = []
    run_work(piece, events.append, registry)
    (record,) = [event.facts for event in events if event.kind == "record"]
    warnings = [event.facts["text"] for event in events if event.kind == "warning"]
    return record, warnings, [event.facts.get("text") for event in events if event.kind == "stage"]


def test_the_last_point_is_the_result_and_the_training_the_same_as_without_a_curve(tmp_path):
    plain, _, _ = run(work(tmp_path / "a", every=0))
    watched, _, _ = run(work(tmp_path / "b", every=2))
    took = watched["pretraining"]
    assert [point["epoch"] for point in took["curve"]] == [2, 3]
    assert [point["loss"] for point in took["curve"]] == took["losses"][1:]
    last = {name: {**facts, "evaluator": "knn"} for name, facts in plain["metrics"].items()}
    assert took["curve"][-1]["metrics"] == last
    assert watched["metrics"] == plain["metrics"]
    assert took["losses"] == plain["pretraining"]["losses"]
    assert took["losses"][-1] == took["final_loss"] == plain["pretraining"]["final_loss"]
    assert took["curve_seconds"] > 0
    assert plain["pretraining"]["curve"] is None
    one, other = (load_tensors(pretraining_files(tmp_path / part, "k0").weights)[0] for part in "ab")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_curve_that_is_missing_or_of_other_settings_is_made_by_training_again(tmp_path):
    run(work(tmp_path, every=0))
    stages = [run(work(tmp_path, every=every))[2] for every in (1, 1, 0, 2)]
    assert ["training" in said for said in stages] == [True, False, False, True]
    record, _, _ = run(work(tmp_path, every=0))
    assert [point["epoch"] for point in record["pretraining"]["curve"]] == [2, 3], "a curve does not go away"


def test_an_untrained_method_has_no_curve(tmp_path):
    record, _, _ = run(work(tmp_path, every=0, method="random-init"))
    assert (record["pretraining"]["curve"], record["pretraining"]["losses"]) == (None, None)


def odd(distribution, does, name):
    distribution(name, {f"evaluator.{name}": f"{name}_plugin"}, {f"{name}_plugin": PLUGIN.format(does=does, name=name)})
    return Registry(), {"name": name, "params": {}, "code": "1"}


def test_an_evaluator_is_given_the_model_as_it_is_then(tmp_path, distribution):
    does = 'return [Metric("odd", float(data.model.method.encoder(images).sum()), std=float("nan"))]'
    registry, evaluator = odd(distribution, does, "oddmodel")
    record, _, _ = run(work(tmp_path, evaluators=(KNN, evaluator)), registry)
    odds = [point["metrics"]["odd"] for point in record["pretraining"]["curve"]]
    assert len({one["value"] for one in odds}) == 3
    assert odds[0]["std"] is None, "JSON has no NaN"
    json.dumps(record["pretraining"], allow_nan=False)


def test_an_evaluator_that_fails_costs_its_points_and_no_training(tmp_path, distribution):
    registry, evaluator = odd(distribution, 'raise ValueError("no can do")', "oddfails")
    record, warnings, _ = run(work(tmp_path, evaluators=(KNN, evaluator)), registry)
    assert record["status"] == "done"
    for point in record["pretraining"]["curve"]:
        assert point["metrics"]["knn_top1"]["value"] is not None
        assert point["metrics"]["odd"]["reason"] == "ValueError: no can do"
        assert point["metrics"]["odd"]["value"] is None
    assert "curve: evaluator 'oddfails': ValueError: no can do" in warnings


def test_an_evaluator_that_changes_what_is_trained_ends_the_training(tmp_path, distribution):
    does = 'next(data.model.method.parameters()).data += 1; return [Metric("odd", 1.0)]'
    registry, evaluator = odd(distribution, does, "oddchanges")
    record, _, _ = run(work(tmp_path, evaluators=(evaluator,)), registry)
    assert record["status"] == "failed"
    assert "an evaluator of the curve (oddchanges) changed the model that is being trained" in record["reason"]


def test_metrics_of_each_image_lie_beside_the_record_and_not_in_it(tmp_path, distribution):
    does = 'return [Metric("odd", 0.5, per_image=torch.tensor([1.0, 0.0]))]'
    registry, _ = odd(distribution, does, "oddimages")
    piece = work(tmp_path, every=0)
    piece = Work(**{**vars(piece), "evaluations": (Evaluation("oddimages", {}, {"cell": "c"}),)})
    record, _, _ = run(piece, registry)
    assert set(record["metrics"]["odd"]) == {"value", "unit", "higher_is_better", "std", "n", "reason"}
    found = read_per_image(pretraining_files(tmp_path, "k0").per_image("c"))
    assert {name: (values.dtype.name, values.tolist()) for name, values in found.items()} == {"odd": ("uint8", [1, 0])}


def test_per_image_metrics_are_kept_small():
    metrics = [
        Metric("right", 0.5, per_image=torch.tensor([True, False])),
        Metric("share", 0.5, per_image=torch.tensor([0.25, 0.75])),
        Metric("without", 0.5),
        Metric("undefined", None, per_image=torch.tensor([1.0])),
    ]
    assert {name: values.dtype for name, values in per_image(metrics).items()} == {
        "right": torch.uint8,
        "share": torch.float16,
    }


@pytest.mark.parametrize("content", [None, b"not one"])
def test_without_such_a_file_nothing_is_known(tmp_path, content):
    path = tmp_path / "c.safetensors"
    if content:
        path.write_bytes(content)
    assert read_per_image(path) == {}
