"""Executors, observers and simulators with one mistake each; a good one of each has none."""

from __future__ import annotations

import os
import random
import threading
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from sslbench import (
    Ended,
    ExecutorSpec,
    Failure,
    Observer,
    ObserverSpec,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    check_claim,
    run_work,
)
from sslbench.execute.events import RecordMade
from sslbench.store.record import Record
from tests.testing.plants import assert_named, faults


class Handle:
    def __init__(self, cancel=lambda: None):
        self.cancel = cancel


class Inline:
    slots = 1

    def devices(self):
        return ("cpu",)

    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended(work.key))
        return Handle()

    def close(self):
        pass


class NeverRuns(Inline):
    def submit(self, work, emit):
        return Handle()


class DropsRecords(Inline):
    def submit(self, work, emit):
        emit(Ended(work.key))
        return Handle()


class DropsTheEnd(Inline):
    def submit(self, work, emit):
        run_work(work, emit)
        return Handle()


class FirstOnly(Inline):
    def submit(self, work, emit):
        if not hasattr(self, "busy"):
            self.busy = True
            return super().submit(work, emit)
        return Handle()


class Twice(Inline):
    def submit(self, work, emit):
        super().submit(work, emit)
        return super().submit(work, emit)


class EachEventTwice(Inline):
    def submit(self, work, emit):
        def both(event):
            emit(event)
            if isinstance(event, RecordMade):
                emit(event)

        return super().submit(work, both)


class LastCellLost(Inline):
    def submit(self, work, emit):
        return super().submit(replace(work, evaluations=work.evaluations[:-1]), emit)


class MadeUp(Inline):
    def submit(self, work, emit):
        for evaluation in work.evaluations:
            emit(RecordMade(Record(evaluation.cell, "failed", "simclr", 0, reason="busy")))
        emit(Ended(work.key))
        return Handle()


class EndsFirst(Inline):
    def submit(self, work, emit):
        emit(Ended(work.key))
        run_work(work, emit)
        return Handle()


class OtherKey(Inline):
    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended("another"))
        return Handle()


class NoHandle(Inline):
    def submit(self, work, emit):
        super().submit(work, emit)


class FailsAll(Inline):
    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended(work.key, Failure("lost: always")))
        return Handle()


class EndsAgainWhenCancelled(Inline):
    def submit(self, work, emit):
        super().submit(work, emit)
        return Handle(lambda: emit(Ended(work.key, Failure("cancelled", "cancelled"))))


class SilentWhenCancelled(Inline):
    def submit(self, work, emit):
        return Handle() if work.key == "cancelled" else super().submit(work, emit)


class NoSlot(Inline):
    slots = 0


class ManySlots(Inline):
    slots = "many"


class NoDevice(Inline):
    def devices(self):
        return ()


class OneWord(Inline):
    def devices(self):
        return "cpu"


class StrangeDevice(Inline):
    def devices(self):
        return ("gpu0",)


class GoesOn(Inline):
    stop = threading.Event()

    def __init__(self):
        self.stop.clear()
        threading.Thread(target=self.stop.wait, name="left-over").start()


class NoClose:
    slots, devices, submit = 1, Inline.devices, Inline.submit


EXECUTORS = [
    (NeverRuns, "no Ended came within 0 s of submit"),
    (DropsTheEnd, "no Ended came within 0 s of submit"),
    (FirstOnly, "no Ended came within 0 s of submit"),
    (DropsRecords, "records came for {}, not once for each of ['work-0-a', 'work-0-b']"),
    (LastCellLost, "not once for each of ['work-0-a', 'work-0-b']"),
    (EachEventTwice, "records came for {'work-0-a': 2, 'work-0-b': 2}"),
    (Twice, "Ended must come once for each submit"),
    (MadeUp, "its records are not those of run_work"),
    (EndsFirst, "Ended must be the last event"),
    (OtherKey, "it came for ['another']"),
    (NoHandle, "submit must return a handle with cancel(), not NoneType"),
    (FailsAll, "work whose plugins are not found ended with a failure: lost: always"),
    (EndsAgainWhenCancelled, "Ended must come once for each submit"),
    (SilentWhenCancelled, "of work that was cancelled Ended must come once"),
    (NoSlot, "it offers no slot or no device"),
    (ManySlots, "slots is 'many', not a number of pieces of work"),
    (NoDevice, "it offers no slot or no device"),
    (OneWord, "devices() returned 'cpu'"),
    (StrangeDevice, "devices() returned ('gpu0',)"),
    (GoesOn, "after close() a thread goes on: left-over"),
    (NoClose, "build must return an object with slots, devices, submit and close"),
]


def executor(make):
    return ExecutorSpec(name="x", summary="An x.", build=lambda params, context: make())


def test_a_good_executor_has_no_fault():
    assert faults(executor(Inline)) == []


@pytest.mark.parametrize(("make", "words"), EXECUTORS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_executor_is_named(make, words):
    try:
        assert_named(executor(make), words, __file__)
    finally:
        GoesOn.stop.set()


class Remembers(Observer):
    """The last epoch of each run."""

    last: ClassVar = {}

    def pretraining_started(self, pretraining):
        self.run = pretraining.run
        return 0 if pretraining.fresh else self.last.get(pretraining.run, 0)

    def epoch_ended(self, epoch):
        self.last[self.run] = epoch.epoch


class OfAllRuns(Remembers):
    def pretraining_started(self, pretraining):
        super().pretraining_started(pretraining)
        return max(self.last.values(), default=0)


class ReturnsNone(Observer):
    def pretraining_started(self, pretraining):
        return None


class WantsALoss(Observer):
    def epoch_ended(self, epoch):
        float(epoch.loss)


class OneAtATime(Observer):
    def pretraining_started(self, pretraining):
        self.key = pretraining.key
        return 0

    def epoch_ended(self, epoch):
        assert epoch.work == self.key


class Percent(Observer):
    def record_written(self, key, record):
        for values in (record.get("metrics") or {}).values():
            values["value"] = 100


class Pops(Observer):
    def pretraining_ended(self, key, statuses):
        statuses.pop("failed")


class Raises(Observer):
    def run_finished(self, statuses):
        raise KeyError("nothing")


class Environment(Observer):
    def run_started(self, run):
        os.environ["TRACKING"] = run.out


class Leaves(Observer):
    def run_started(self, run):
        os.chdir(run.out)


OBSERVERS = [
    (OfAllRuns, "of a pretraining that it does not know; it returns the last epoch it has"),
    (ReturnsNone, "pretraining_started returned None after 0 epochs"),
    (WantsALoss, "raised TypeError"),
    (OneAtATime, "raised AssertionError"),
    (Percent, "it changed the record that it was given"),
    (Pops, "it changed the counts that it was given"),
    (Raises, "raised KeyError: 'nothing'"),
    (Leaves, "it changed the current folder, which the whole process shares"),
    (object, "build must return an Observer"),
]


def observer(make):
    return ObserverSpec(name="o", summary="An o.", build=lambda params, context: make())


@pytest.mark.parametrize("make", [Observer, Remembers, Environment])
def test_a_good_observer_has_no_fault(make):
    assert faults(observer(make)) == []


@pytest.mark.parametrize(("make", "words"), OBSERVERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_observer_is_named(make, words):
    assert_named(observer(make), words, __file__)


class Study:
    """Draws numbers, and claims that they are below 1."""

    def __init__(self, params):
        self.params = params

    def draws(self, seed):
        return random.Random(seed).random()

    def rows(self, seed):
        return [{"draw": self.draws(seed), "reason": ""}]

    def seeds(self, seed):
        return range(seed, seed + self.params.claim_seeds)

    def claim(self, seed):
        return check_claim("it is below 1", "arithmetic", "below 1", {s: self.draws(s) < 1 for s in self.seeds(seed)})

    def figures(self):
        return {}

    def run(self, seed):
        return SimulationResult({"draws": self.rows(seed)}, [self.claim(seed)], self.figures(), "Draw.")


class Pythons(Study):
    def draws(self, seed):
        random.seed(seed)
        return random.random()


class Numpys(Study):
    def draws(self, seed):
        return float(np.random.rand())


class Entropy(Study):
    def draws(self, seed):
        return random.SystemRandom().random()


class Counts(Study):
    runs = 0

    def run(self, seed):
        self.runs += 1
        return super().run(seed + self.runs)


class NaN(Study):
    def rows(self, seed):
        return [{"draw": float("nan")}]


class Unexplained(Study):
    def rows(self, seed):
        return [{"draw": None}]


class Columns(Study):
    def rows(self, seed):
        return [{"draw": 1.0}, {"other": 1.0}]


class Arrays(Study):
    def rows(self, seed):
        return [{"draw": np.float32(0.5)}]


class Empty(Study):
    def rows(self, seed):
        return []


class NoTable(Study):
    def run(self, seed):
        return replace(super().run(seed), tables={})


class Dictionary(Study):
    def run(self, seed):
        return {"draws": self.rows(seed)}


class FromZero(Study):
    def seeds(self, seed):
        return range(self.params.claim_seeds)


class OneSeed(Study):
    def seeds(self, seed):
        return [seed]


class NoSource(Study):
    def claim(self, seed):
        return replace(super().claim(seed), source="")


class Certain(Study):
    def claim(self, seed):
        return replace(super().claim(seed), verdict="true")


class Drawn(Study):
    def figures(self):
        return {"draws": "draws.png"}


class DrawsNothing(Study):
    def figures(self):
        return {"draws": lambda: None}


SIMULATORS = [
    (Pythons, "it drew from Python's global generator, which no seed of a run sets"),
    (Numpys, "it drew from NumPy's global generator, which no seed of a run sets"),
    (Entropy, "not the same for the same seed"),
    (Counts, "not the same for the same seed"),
    (NaN, "table 'draws': draw is nan, not None"),
    (Unexplained, "table 'draws': a value is None and the row's 'reason' does not say why"),
    (Columns, "table 'draws': its rows do not have the same columns"),
    (Arrays, "table 'draws': draw is a float32; allowed: numbers and texts of Python"),
    (Empty, "table 'draws': it has no row"),
    (NoTable, "returns no table"),
    (Dictionary, "run returned a dict, not a SimulationResult"),
    (FromZero, "it rests on the seeds [0, 1, 2], not on 3 and those after"),
    (OneSeed, "it rests on 1 seeds; claim_seeds asks for 3"),
    (NoSource, "lacks its source, what it expects or what was measured"),
    (Certain, "verdict 'true'; allowed: holds, fails, undecided"),
    (Drawn, "figure 'draws' is a str, not a function that draws one"),
    (DrawsNothing, "figure 'draws' returned a NoneType, not a matplotlib figure"),
    (lambda params: object(), "build must return an object with run(seed)"),
]


def simulator(make):
    return SimulatorSpec(name="s", summary="An s.", params=SimulatorParams, build=lambda params, context: make(params))


def test_a_good_simulator_has_no_fault():
    assert faults(simulator(Study)) == []


@pytest.mark.parametrize(("make", "words"), SIMULATORS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_simulator_is_named(make, words):
    state = torch.get_rng_state()
    assert_named(simulator(make), words, __file__)
    assert torch.equal(state, torch.get_rng_state())
