"""Observers: they take every call of a run, and a pretraining that goes on is told from one that is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from sslbench.contracts.executor import EpochEnded, PluginChoice, TrainingSettings
from sslbench.contracts.observer import ObservedPretraining, ObservedRun, Observer, ObserverSpec
from sslbench.contracts.plugin import BuildContext
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.testing.conformance.problem import Problems

EPOCHS = 2


def of_observer(spec: ObserverSpec, params: Any) -> Problems:
    """A run that is killed after its training, and one that goes on to the end."""
    pretraining = replace(observed_pretraining(), run=uuid4().hex[:16])  # a tracker may know the last one
    with TemporaryDirectory() as out:
        for last in (0, EPOCHS):
            observer = spec.build(params, BuildContext())
            if not isinstance(observer, Observer):
                yield "build must return an Observer"
                return
            observer.run_started(observed_run(out))
            returned = observer.pretraining_started(pretraining)
            # One that keeps nothing is told of every epoch again.
            if isinstance(returned, bool) or not isinstance(returned, int) or returned not in (0, last):
                yield f"pretraining_started returned {returned!r} after {last} epochs; it returns the last epoch it has"
            for number in range(returned or 0, EPOCHS):
                observer.epoch_ended(epoch(number + 1))
            if last:
                finish(observer)
            observer.close()


def finish(observer: Observer) -> None:
    """The end of a run of one pretraining, of two cells."""
    for record in records():
        observer.record_written("key", record)
    observer.pretraining_ended("key", {"done": 1, "failed": 1})
    observer.run_finished({"done": 1, "failed": 1})


def observed_run(out: str) -> ObservedRun:
    """A run of one pretraining and two cells."""
    return ObservedRun("conformance", out, "sslbench run quick", 1, 2, TrainingSettings().model_dump(mode="json"))


def observed_pretraining(key: str = "key", fresh: bool = False) -> ObservedPretraining:
    """One with a method, and with the same run in a tracker for the same key."""
    plugins = {"method": PluginChoice("simclr", {"temperature": 0.1, "layers": [1, 2], "name": None})}
    settings = TrainingSettings().model_dump(mode="json")
    evaluators = {"cell-a": "few-label labels=(2, 13)", "cell-b": "knn"}
    return ObservedPretraining(key, f"run-{key}", "simclr seed 0", plugins, 0, None, settings, evaluators, fresh)


def epoch(number: int, key: str = "key") -> EpochEnded:
    """An epoch with all that is reported of one."""
    metrics, scalars = {"knn/knn_top1": 0.1 * number, "knn/other": None}, {"embedding_spread": 0.5, "odd": None}
    return EpochEnded(number, EPOCHS, 1 / number, 0.01, 1000.0, metrics, scalars, work=key)


def records() -> list[Mapping[str, Any]]:
    """One that is done, with a metric of an odd name, and one that failed."""
    facts = TrainingFacts(key="key", epochs=EPOCHS, seconds=1.5, images_per_second=1000.0, peak_memory_bytes=10**9)
    metrics = {"few_label_top1@2%": MetricValue(0.5), "unknown": MetricValue(None, reason="nobody knows")}
    done = Record("cell-a", "done", method="simclr", seed=0, evaluator="few-label", metrics=metrics, pretraining=facts)
    failed = Record("cell-b", "failed", method="simclr", seed=0, reason="lost: gone", pretraining=facts)
    return [done.to_json(), failed.to_json()]
