"""Folders of results that cannot be written: what they hold is used, and nothing that is done is run again."""

from __future__ import annotations

import pytest

from sslbench.execute.events import StageStarted, Warned
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.plan.suite import Overrides


@pytest.fixture
def done(tmp_path):
    """A request of two cells, and their records, in a folder where the lock cannot be taken any more."""

    def request(**more):
        axes = {"method": ["raw-pixels"], "evaluator": ["knn", "retrieval"]}
        return Request(overrides=Overrides(axes, (0,), {}), out=tmp_path / "out", **more)

    records = run(request()).records
    lock = tmp_path / "out/results.sqlite.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    return request, records


def test_a_finished_folder_is_not_run_again(done):
    request, records = done
    events = []
    outcome = run(request(), events.append)
    assert (outcome.records, outcome.trained, outcome.exit_code, outcome.store_error) == (records, 0, 0, None)
    assert not [event for event in events if isinstance(event, (StageStarted, Warned))]


def test_what_is_run_all_the_same_is_only_printed_and_said_so(done):
    request, records = done
    events = []
    outcome = run(request(fresh=True), events.append)
    assert [record.metrics for record in outcome.records] == [record.metrics for record in records]
    assert (outcome.trained, outcome.exit_code) == (2, 3)
    (warning, *_) = [event.text for event in events if isinstance(event, Warned)]
    assert warning.endswith("; results will only be printed")
