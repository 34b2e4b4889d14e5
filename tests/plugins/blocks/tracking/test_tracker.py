"""What trackers are given, with a tracker that keeps it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslbench import PluginChoice
from sslbench.testing.conformance.observers import epoch, finish, observed_pretraining, observed_run, records
from sslbench_plugins.blocks.tracking.tracker import TrackedRun, Tracker
from sslbench_plugins.blocks.tracking.words import parameters


class Kept(TrackedRun):
    def __init__(self, last_epoch=0, has_cost=False):
        self.last_epoch, self.has_cost = last_epoch, has_cost
        self.logged, self.results, self.ends = [], [], []

    def log(self, metrics, epoch):
        self.logged.append((epoch, metrics))

    def result(self, metrics, epochs):
        self.results.append((epochs, metrics))

    def end(self, how, words):
        self.ends.append((how, words))


class Memory(Tracker):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def open(self, pretraining, run):
        return self.run


def followed(run, end=True):
    tracker = Memory(run)
    tracker.run_started(observed_run("out"))
    assert tracker.pretraining_started(observed_pretraining()) == run.last_epoch
    tracker.epoch_ended(epoch(1))
    if end:
        finish(tracker)
    tracker.close()
    return run


COST = {"cost/seconds": 1.5, "cost/images_per_second": 1000.0, "cost/peak_memory_bytes": 10**9}


def test_a_run_gets_what_was_measured_under_grouped_names():
    run = followed(Kept())
    numbers = {"loss": 1.0, "learning_rate": 0.01, "images_per_second": 1000.0, "embedding_spread": 0.5}
    assert run.logged == [(1, {**{f"training/{name}": v for name, v in numbers.items()}, "curve/knn/knn_top1": 0.1})]
    assert run.results == [(2, {"final/few-label labels=(2, 13)/few_label_top1@2%": 0.5, **COST}), (2, {})]
    assert run.ends == [("failed", "1 done, 1 failed; lost: gone")]


def test_the_cost_of_a_training_is_given_once():
    assert followed(Kept(has_cost=True)).results[0] == (2, {"final/few-label labels=(2, 13)/few_label_top1@2%": 0.5})


def test_what_did_not_end_was_interrupted():
    assert followed(Kept(), end=False).ends == [("interrupted", "interrupted")]


def test_collapsed_cells_are_results():
    tracker = Memory(Kept())
    tracker.run_started(observed_run("out"))
    tracker.pretraining_started(observed_pretraining())
    tracker.record_written("key", {**records()[0], "status": "collapsed", "reason": "all equal"})
    tracker.pretraining_ended("key", {"collapsed": 1})
    assert tracker.run.ends == [("finished", "1 collapsed; all equal")]


def test_parameters_are_everything_that_a_pretraining_is_made_with():
    plugins = {"method": PluginChoice("mae", {"lr": 0.1}), "masking": PluginChoice("random", {"ratio": 0.75})}
    given = replace(observed_pretraining(), plugins=plugins, mask_ratio=0.75, settings={"epochs": 3}, seed=5)
    expected = {"masking": "random", "masking.ratio": 0.75, "method": "mae", "method.lr": 0.1}
    assert parameters(given) == {**expected, "seed": 5, "mask_ratio": 0.75, "training.epochs": 3}
    assert "mask_ratio" not in parameters(replace(given, mask_ratio=None))


@pytest.mark.parametrize("name", ["training/loss", "final/knn/knn_top1", "a.b-c d"])
def test_names_that_mlflow_takes_stay(name):
    from sslbench_plugins.observers.mlflow import allowed

    assert allowed(name) == name
    assert allowed(f"{name}@2%") == f"{name}_at_2pct"
    assert allowed(f"{name} k=5") == f"{name} k_5"
