"""Who is lent something of a run, a plugin or whoever runs it, can change nothing of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslbench.contracts.executor import Evaluation, PluginChoice
from sslbench.execute.events import RecordMade
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.suite import Overrides
from sslbench.store.results import ResultsStore

PLUGINS = """
    '''Plugins that do not keep their hands off what they are lent.'''
    from sslbench import Ended, EvaluatorSpec, ExecutorSpec, Metric, hookimpl, run_work

    class Greedy:
        '''Changes features, labels and factors in place, in every way that torch has.'''

        def evaluate(self, data):
            for part in (data.train, data.test):
                part.features.mul_(100)
                part.features.data.add_(1)
                part.features.numpy()[:] = 0
                part.labels.zero_()
            return [Metric("greed", 1.0)]

    class Done:
        def cancel(self):
            pass

    class Meddling:
        '''Changes its work, and every record after it has handed it over.'''

        slots = 1

        def devices(self):
            return ("cpu",)

        def submit(self, work, emit):
            def meddle(event):
                emit(event)
                if hasattr(event, "record"):
                    event.record.metrics.clear()

            run_work(work, meddle)
            for evaluation in work.evaluations:
                evaluation.params["evaluator"]["k"] = 77
            emit(Ended(work.key))
            return Done()

        def close(self):
            pass

    @hookimpl
    def sslbench_evaluators():
        return [EvaluatorSpec(name="greedy", summary=__doc__, build=lambda params, context: Greedy(), headline="greed")]

    @hookimpl
    def sslbench_executors():
        return [ExecutorSpec(name="meddling", summary=__doc__, build=lambda params, context: Meddling())]
"""
AXES = {"method": ["raw-pixels"], "evaluator": ["knn"]}


@pytest.fixture
def registry(distribution):
    distribution("meddlers", {"meddlers": "meddling_plugins"}, {"meddling_plugins": PLUGINS})
    default_registry.cache_clear()  # which the executor makes use of
    yield Registry()
    default_registry.cache_clear()


@pytest.mark.parametrize("method", ["simclr", "raw-pixels"])
def test_an_evaluator_that_changes_features_changes_those_of_no_other(tmp_path, small_work, do_work, registry, method):
    more = {"plugins": {"backbone": None}} if method == "raw-pixels" else {}
    (alone,) = do_work(small_work(tmp_path / "alone", method, training={"train_images": 64}, **more), registry).records
    work = small_work(tmp_path / "out", method, training={"train_images": 64}, **more)
    names = ("greedy", "knn", "greedy", "knn")
    work = replace(work, evaluations=tuple(Evaluation(f"c{n}", PluginChoice(name)) for n, name in enumerate(names)))
    fresh, kept = do_work(work, registry).records, do_work(work, registry).records
    assert {record.status for record in (*fresh, *kept)} == {"done"}
    assert all(record.metrics == alone.metrics for record in (*fresh[1::2], *kept[1::2]))


def test_what_executors_and_callers_do_to_what_they_get_changes_nothing(tmp_path, registry):
    def meddle(event):
        if isinstance(event, RecordMade):
            event.record.metrics.clear()
            event.record.params.clear()

    overrides = Overrides(AXES, (0,), {})
    expected = run(Request(overrides=overrides, out=tmp_path / "plain"), registry=Registry()).records
    outcome = run(Request(overrides=overrides, out=tmp_path / "out", executor="meddling"), meddle, registry)
    with ResultsStore.open_for_reading(tmp_path / "out") as store:
        stored = store.records()
    for records in (outcome.records, stored):
        assert [record.metrics for record in records] == [record.metrics for record in expected]
        assert [record.params for record in records] == [record.params for record in expected]
