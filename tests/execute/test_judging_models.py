"""Evaluators that are given the model: what they get, what they must leave, and what happens when weights are gone."""

from __future__ import annotations

import pytest
import torch

from sslbench.contracts.executor import Evaluation, Work
from sslbench.execute.worker import run_work
from sslbench.hooks.registry import Registry

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
JUDGES = """
    '''Evaluators of somebody else.'''
    import torch
    from sslbench import EvaluatorSpec, Metric, hookimpl

    def agreement(data):
        '''Largest difference between the features of two images and the encoder's answer to these images.'''
        rows = torch.tensor([0, len(data.test.features) - 1])
        with torch.no_grad():
            found = data.model.method.encoder(data.model.images("test", rows))
        return float((found - data.test.features[rows]).abs().max())

    class Honest:
        def evaluate(self, data):
            assert not data.model.method.training
            return [Metric("difference", agreement(data)), Metric("total", float(data.test.features.sum()))]

    class Careless:
        '''Trains the model itself instead of a copy.'''

        def evaluate(self, data):
            for parameter in data.model.method.parameters():
                parameter.data.add_(1)
            return [Metric("difference", 0.0)]

    class Waking:
        '''Leaves the model in training mode.'''

        def evaluate(self, data):
            data.model.method.train()
            return [Metric("difference", 0.0)]

    class Bystander:
        def evaluate(self, data):
            return [Metric("has_model", float(data.model is not None))]

    @hookimpl
    def sslbench_evaluators():
        return [
            EvaluatorSpec(name=name, summary=__doc__, build=lambda params, context, make=make: make(), uses_model=uses,
                          headline=headline)
            for name, make, uses, headline in [
                ("honest", Honest, True, "difference"),
                ("careless", Careless, True, "difference"),
                ("waking", Waking, True, "difference"),
                ("bystander", Bystander, False, "has_model"),
            ]
        ]
"""


@pytest.fixture
def registry(distribution):
    distribution("other-judges", {"other-judges": "other_judges"}, {"other_judges": JUDGES})
    return Registry()


def run(out, registry, *evaluators, method="simclr", fresh=False):
    plugins = {
        "method": {"name": method, "params": {}},
        "dataset": {"name": "digits", "params": {}},
        "backbone": {"name": "convnet-small", "params": {"width": 4}},
        "augmentation": {"name": "affine", "params": {}},
    }
    evaluations = tuple(Evaluation(name, {}, {"cell": name}) for name in evaluators)
    events = []
    run_work(Work("k0", plugins, 0, TRAINING, None, evaluations, str(out), fresh=fresh), events.append, registry)
    return [event.facts for event in events if event.kind == "record"], events


def test_only_an_evaluator_that_asks_for_the_model_gets_it(tmp_path, registry):
    (honest, bystander), _ = run(tmp_path, registry, "honest", "bystander")
    assert honest["status"] == bystander["status"] == "done"
    assert honest["metrics"]["difference"]["value"] < 1e-5
    assert bystander["metrics"]["has_model"]["value"] == 0


@pytest.mark.parametrize("method", ["simclr", "random-init"])
def test_an_evaluator_that_changes_the_model_fails_and_the_next_gets_the_right_one(tmp_path, registry, method):
    records, _ = run(tmp_path, registry, "careless", "honest", "careless", "honest", method=method)
    assert [record["status"] for record in records] == ["failed", "done", "failed", "done"]
    assert "evaluator 'careless' changed the model that it judges" in records[0]["reason"]
    assert records[0]["metrics"]["difference"]["value"] is None
    assert records[1]["metrics"] == records[3]["metrics"]
    assert records[1]["metrics"]["difference"]["value"] < 1e-5


def test_a_model_left_in_training_mode_is_in_eval_mode_for_the_next(tmp_path, registry):
    records, _ = run(tmp_path, registry, "waking", "honest")
    assert [record["status"] for record in records] == ["done", "done"]
    assert records[1]["metrics"]["difference"]["value"] < 1e-5


def test_with_kept_features_the_model_is_built_from_its_weights_and_nothing_is_trained(tmp_path, registry):
    (first,), _ = run(tmp_path, registry, "honest")
    (again,), events = run(tmp_path, registry, "honest")
    assert again["metrics"]["total"] == first["metrics"]["total"]
    assert again["metrics"]["difference"]["value"] < 1e-5
    stages = [event.facts["text"] for event in events if event.kind == "stage"]
    assert stages == ["judging honest", "reading images"]


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_without_its_weights_the_error_says_so_and_what_to_do(tmp_path, registry, damage):
    run(tmp_path, registry, "bystander")
    weights = tmp_path / "artifacts/k0/weights.safetensors"
    weights.unlink() if damage == "gone" else weights.write_bytes(b"x")
    (honest, bystander), _ = run(tmp_path, registry, "honest", "bystander")
    assert (honest["status"], bystander["status"]) == ("failed", "done")
    assert honest["reason"] == f"{weights} is gone or cannot be read; --fresh trains this pretraining again"
    assert honest["metrics"]["difference"]["value"] is None
    (fresh,), _ = run(tmp_path, registry, "honest", fresh=True)
    assert fresh["status"] == "done"


def test_a_method_that_trains_nothing_needs_no_weights(tmp_path, registry):
    run(tmp_path, registry, "bystander", method="random-init")
    (honest,), _ = run(tmp_path, registry, "honest", method="random-init")
    assert (honest["status"], honest["reason"]) == ("done", None)
    assert honest["metrics"]["difference"]["value"] < 1e-5


def test_judging_does_not_depend_on_what_was_judged_before(tmp_path, registry):
    torch.manual_seed(1)
    (first, _), _ = run(tmp_path / "a", registry, "honest", "waking")
    torch.manual_seed(2)
    (_, last), _ = run(tmp_path / "b", registry, "waking", "honest")
    assert first["metrics"] == last["metrics"]
