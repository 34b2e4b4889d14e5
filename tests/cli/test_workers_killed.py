"""A run whose workers are killed again and again ends as one that nobody disturbs."""

from __future__ import annotations

import os
import random
import signal
from itertools import pairwise

import pytest

import sslbench_plugins.executors.workers as plugin
from sslbench.execute.events import PretrainingEnded, PretrainingStarted, Warned
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.plan.suite import Overrides

PRETRAININGS, KILLS = 6, 6
SUITE = Overrides(
    {
        "method": ("simclr",),
        "backbone": ("convnet-small:width=4",),
        "dataset": ("shapes:train_images=128,test_images=64",),
        "evaluator": ("knn", "linear-probe"),
    },
    tuple(range(PRETRAININGS)),
    {"epochs": 6, "batch_size": 16, "checkpoint_every": 1e-9, "device": "cpu"},
)
"""each with 48 steps, all of which are reported: the kills fall on every part of the work"""


class Killer:
    """Kills a worker after a number of events, both drawn from a seed."""

    def __init__(self, seed):
        self.random, self.events, self.killed = random.Random(seed), [], []
        self.left = 5

    def __call__(self, event):
        self.events.append(event)
        self.left -= 1
        live = [slot.process.pid for slot in self.pool._slots if slot.process and slot.job and slot.job.begun]
        if self.left < 0 and live and len(self.killed) < KILLS:
            pid = self.random.choice(live)
            if pid not in self.killed:
                self.killed.append(pid)
                os.kill(pid, signal.SIGKILL)
            self.left = self.random.randrange(10, 60)


@pytest.fixture
def pools(monkeypatch):
    """Every pool that is built."""
    built = []

    class Workers(plugin.Workers):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            built.append(self)

    monkeypatch.setattr(plugin, "Workers", Workers)
    return built


def idle(events):
    """How often a slot was left free while a pretraining waited: where an end is not followed by a beginning."""
    after = [following for event, following in pairwise(events) if isinstance(event, PretrainingEnded)]
    return sum(not isinstance(event, PretrainingStarted) for event in after[: PRETRAININGS - 2])


@pytest.mark.slow
def test_killed_workers_change_no_record_and_leave_no_process(tmp_path, pools, gone):
    killer = Killer(seed=1)

    def disturb(event):
        killer.pool = pools[-1]
        killer(event)

    calm = run(Request(overrides=SUITE, executor="inline", out=tmp_path / "calm"))
    request = Request(overrides=SUITE, executor="workers:slots=2", out=tmp_path / "disturbed", retries=50)
    disturbed = run(request, disturb)
    assert [record.status for record in disturbed.records] == ["done"] * 2 * PRETRAININGS
    metrics = [{record.cell: record.metrics for record in outcome.records} for outcome in (calm, disturbed)]
    assert metrics[0] == metrics[1]
    assert len(killer.killed) >= 5
    for pid in killer.killed:
        gone(pid)
    again = [event for event in killer.events if isinstance(event, Warned) and "tried again" in event.text]
    assert 4 <= len(again) <= len(killer.killed)  # unless one had just ended its work
    assert idle(killer.events) == 0
