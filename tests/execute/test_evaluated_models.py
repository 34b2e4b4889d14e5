"""Evaluators that are given the model: what they get, what they must leave, and what happens when weights are gone."""

from __future__ import annotations

import pytest
import torch

from sslbench.hooks.registry import Registry

EVALUATORS = """
    '''Evaluators of somebody else.'''
    import torch
    from sslbench import EvaluatorSpec, Metric, hookimpl

    def difference(data):
        '''Largest difference between the features of two images and what the encoder returns for these images.'''
        rows = torch.tensor([0, len(data.test.features) - 1])
        with torch.no_grad():
            features = data.model.method.encoder(data.model.images("test", rows))
        return float((features - data.test.features[rows]).abs().max())

    class Honest:
        def evaluate(self, data):
            assert not data.model.method.training
            return [Metric("difference", difference(data)), Metric("total", float(data.test.features.sum()))]

    class Careless:
        '''Trains the model itself instead of a copy.'''

        def evaluate(self, data):
            for parameter in data.model.method.parameters():
                parameter.data.add_(1)
            return [Metric("difference", 0.0)]

    class Failing(Careless):
        '''Fails in the middle of that.'''

        def evaluate(self, data):
            super().evaluate(data)
            raise ValueError("no can do")

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
                ("failing", Failing, True, "difference"),
                ("waking", Waking, True, "difference"),
                ("bystander", Bystander, False, "has_model"),
            ]
        ]
"""


@pytest.fixture
def registry(distribution):
    distribution("others", {"others": "other_evaluators"}, {"other_evaluators": EVALUATORS})
    return Registry()


@pytest.fixture
def run(small_work, do_work, registry):
    """Records and events of some evaluators after one training."""

    def run(out, *evaluators, method="simclr", fresh=False):
        emitted = do_work(small_work(out, method, evaluators, fresh=fresh), registry)
        return emitted.records, emitted

    return run


def test_only_an_evaluator_that_asks_for_the_model_gets_it(tmp_path, run):
    (honest, bystander), _ = run(tmp_path, "honest", "bystander")
    assert honest.status == bystander.status == "done"
    assert honest.metrics["difference"].value < 1e-5
    assert bystander.metrics["has_model"].value == 0


@pytest.mark.parametrize("method", ["simclr", "random-init"])
def test_an_evaluator_that_changes_the_model_fails_and_the_next_gets_the_right_one(tmp_path, run, method):
    records, _ = run(tmp_path, "careless", "honest", "careless", "honest", method=method)
    assert [record.status for record in records] == ["failed", "done", "failed", "done"]
    assert "evaluator 'careless' changed the model that it evaluates" in records[0].reason
    assert records[0].metrics["difference"].value is None
    assert records[1].metrics == records[3].metrics
    assert records[1].metrics["difference"].value < 1e-5


def test_one_that_changes_the_model_and_fails_leaves_the_next_the_right_one(tmp_path, run):
    (failing, honest), _ = run(tmp_path, "failing", "honest")
    assert "evaluator 'failing' changed the model that it evaluates" in failing.reason
    assert "no can do" in failing.traceback
    assert honest.metrics["difference"].value < 1e-5


def test_a_model_left_in_training_mode_is_in_eval_mode_for_the_next(tmp_path, run):
    records, _ = run(tmp_path, "waking", "honest")
    assert [record.status for record in records] == ["done", "done"]
    assert records[1].metrics["difference"].value < 1e-5


def test_with_kept_features_the_model_is_built_from_its_weights_and_nothing_is_trained(tmp_path, run):
    (first,), _ = run(tmp_path, "honest")
    (again,), emitted = run(tmp_path, "honest")
    assert again.metrics["total"] == first.metrics["total"]
    assert again.metrics["difference"].value < 1e-5
    assert emitted.stages == ["evaluating honest", "reading images"]


def test_without_its_weights_the_error_says_so_and_what_to_do(tmp_path, run):
    run(tmp_path, "bystander")
    weights = tmp_path / "artifacts/k0/weights.safetensors"
    weights.unlink()
    (honest, bystander), _ = run(tmp_path, "honest", "bystander")
    assert (honest.status, bystander.status) == ("failed", "done")
    assert honest.reason == f"{weights} is gone or cannot be read; --fresh trains this pretraining again"
    assert honest.metrics["difference"].value is None
    (fresh,), _ = run(tmp_path, "honest", fresh=True)
    assert fresh.status == "done"


def test_a_method_that_trains_nothing_needs_no_weights(tmp_path, run):
    run(tmp_path, "bystander", method="random-init")
    (honest,), _ = run(tmp_path, "honest", method="random-init")
    assert (honest.status, honest.reason) == ("done", None)
    assert honest.metrics["difference"].value < 1e-5


def test_an_evaluation_does_not_depend_on_those_before_it(tmp_path, run):
    torch.manual_seed(1)
    (first, _), _ = run(tmp_path / "a", "honest", "waking")
    torch.manual_seed(2)
    (_, last), _ = run(tmp_path / "b", "waking", "honest")
    assert first.metrics == last.metrics
