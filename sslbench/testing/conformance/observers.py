"""Observers: they take every call of a run, and a pretraining that goes on is told from one that is new."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from sslbench.contracts.executor import EpochEnded, PluginChoice, TrainingSettings
from sslbench.contracts.observer import ObservedPretraining, ObservedRun, Observer
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.problem import Problems

EPOCHS = 2


def ids() -> str:
    """A run that no tracker knows."""
    return uuid4().hex[:16]


def reported(observer: Observer, out: str, pretraining: ObservedPretraining, end: bool) -> Any:
    """Report a run of one pretraining; what ``pretraining_started`` returned. Without ``end`` it is killed."""
    observer.run_started(observed_run(out))
    returned = observer.pretraining_started(pretraining)
    last = max(0, returned) if isinstance(returned, int) else 0
    for number in range(min(last, EPOCHS), EPOCHS):
        observer.epoch_ended(epoch(number + 1, pretraining.key))
    if end:
        finish(observer, pretraining.key)
    observer.close()
    return returned


@check("observer", "Override what is needed", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """A ``sslbench.Observer``."""
    if not isinstance(trial.built, Observer):
        yield "build must return an Observer"


LAST = "Returns the last epoch that an earlier run reported of this one, 0 for none"


@check("observer", LAST, "pretraining_started")
def goes_on_where_it_was(trial: Trial) -> Problems:
    """A run that is killed after its training, one that goes on to the end, and what is another pretraining."""
    pretraining = replace(observed_pretraining(), run=ids())  # a tracker may know the last one
    other = replace(observed_pretraining("other"), run=ids())
    with TemporaryDirectory() as out:
        for last, one, end in (
            (0, pretraining, False),
            (EPOCHS, pretraining, True),
            (0, other, False),
        ):
            returned = reported(trial.build(), out, one, end)
            # One that keeps nothing is told of every epoch again.
            if isinstance(returned, bool) or not isinstance(returned, int) or returned not in (0, last):
                what = f"after {last} epochs" if one is not other else "of a pretraining that it does not know"
                yield f"pretraining_started returned {returned!r} {what}; it returns the last epoch it has"


@check("observer", "Several may be under way", "epoch_ended")
def several_at_a_time(trial: Trial) -> Problems:
    """Two pretrainings in turn, one of which has neither loss nor metrics, and a run without any."""
    first, second = (replace(observed_pretraining(key), run=ids()) for key in ("one", "two"))
    with TemporaryDirectory() as out:
        observer = trial.build()
        observer.run_started(observed_run(out))
        observer.pretraining_started(first)
        observer.pretraining_started(second)
        for number in range(EPOCHS):
            observer.epoch_ended(epoch(number + 1, "one"))
            observer.epoch_ended(EpochEnded(number + 1, EPOCHS, None, work="two"))
        finish(observer, "two", run=False)
        finish(observer, "one")
        observer.close()
        empty = trial.build()
        empty.run_started(replace(observed_run(out), command=None, pretrainings=0, cells=0))
        empty.run_finished({"done": 2})
        empty.close()
    yield from ()


@check("observer", "They are given copies and change nothing", "record_written")
def what_it_is_given_stays(trial: Trial) -> Problems:
    """Settings, plugins, epochs, records and counts."""
    with TemporaryDirectory() as out:
        observer, pretraining = trial.build(), replace(observed_pretraining(), run=ids())
        given: list[Any] = [observed_run(out), pretraining, epoch(1), *records(), {"done": 1, "failed": 1}]
        before = copy.deepcopy(given)
        run, _, ended, done, failed, statuses = given
        observer.run_started(run)
        observer.pretraining_started(pretraining)
        observer.epoch_ended(ended)
        for record in (done, failed):
            observer.record_written("key", record)
        observer.pretraining_ended("key", statuses)
        observer.run_finished(statuses)
        observer.close()
        names = ("the run", "the pretraining", "the epoch", "the record", "the record", "the counts")
        changed = [name for name, was, now in zip(names, before, given, strict=True) if was != now]
        yield from (f"it changed {name} that it was given" for name in dict.fromkeys(changed))


def finish(observer: Observer, key: str = "key", run: bool = True) -> None:
    """The end of a pretraining of two cells, and of its run."""
    for record in records():
        observer.record_written(key, record)
    observer.pretraining_ended(key, {"done": 1, "failed": 1})
    if run:
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
