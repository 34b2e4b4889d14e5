"""A worker that is given its work in a file: started again, ended at any moment, met by what is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sslbench.contracts.executor import Ended, TrainingProgress
from sslbench.execute import by_file
from sslbench.execute.by_file import Throttled, WorkFiles, do, main
from sslbench.execute.event_file import EventFile
from sslbench.execute.events import RecordMade, StageStarted
from sslbench.execute.wire import to_line
from sslbench.store.artifacts import pretraining_files
from sslbench.store.record import Record


@pytest.fixture(autouse=True)
def handler():
    """The handler of SIGTERM of this process as it was, after the test; nobody has asked for its end."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    by_file.ENDING.clear()


def written(work):
    """The file of the work, and the file of its events."""
    files = WorkFiles(Path(work.out), work.key)
    files.work.parent.mkdir(parents=True)
    files.work.write_text(to_line(work) + "\n")
    return files.work, EventFile(files.events)


def cells(events):
    return [event.record.cell for event in events if isinstance(event, RecordMade)]


def test_work_is_done_and_its_events_end_with_ended(tmp_path, small_work):
    work = small_work(tmp_path, evaluators=("knn", "linear-probe"))
    path, file = written(work)
    assert main([str(path)]) == 0
    events = file.new()
    assert isinstance(events[0], StageStarted)
    assert cells(events) == ["cell-knn", "cell-linear-probe"]
    assert [event.record.status for event in events if isinstance(event, RecordMade)] == ["done", "done"]
    assert events[-1] == Ended(work.key)
    assert sum(isinstance(event, Ended) for event in events) == 1


def test_nothing_is_written_after_the_end(tmp_path, small_work, monkeypatch):
    work = small_work(tmp_path)
    path, file = written(work)
    heartbeat, append = WorkFiles(tmp_path, work.key).heartbeat, EventFile.append

    def taken(file, event):
        append(file, event)
        if isinstance(event, Ended):  # as who reads it does
            heartbeat.unlink()

    monkeypatch.setattr(EventFile, "append", taken)
    monkeypatch.setattr("sslbench.execute.worker.run_work", lambda work, emit: None)
    assert main([str(path), "--heartbeat", "0.0001"]) == 0
    assert not heartbeat.exists()
    assert isinstance(file.new()[-1], Ended)


def test_work_that_has_ended_is_not_done_again(tmp_path, small_work):
    path, file = written(small_work(tmp_path))
    assert main([str(path)]) == 0
    content = file.path.read_bytes()
    assert main([str(path)]) == 0
    assert file.path.read_bytes() == content


def test_what_has_a_record_is_not_done_again(tmp_path, small_work):
    work = small_work(tmp_path, evaluators=("knn", "linear-probe"))
    path, file = written(work)
    assert main([str(path)]) == 0
    first = file.new()
    made = [event for event in first if isinstance(event, RecordMade)]
    file.path.unlink()
    file.append(made[0])
    assert main([str(path)]) == 0
    again = EventFile(file.path).new()
    assert cells(again) == ["cell-knn", "cell-linear-probe"]
    assert again[-1] == Ended(work.key)
    values = [event.record.metrics for event in again if isinstance(event, RecordMade)]
    assert values == [event.record.metrics for event in made]


def test_what_lacks_only_its_end_gets_it(tmp_path, small_work, monkeypatch):
    work = small_work(tmp_path)
    path, file = written(work)
    assert main([str(path)]) == 0
    made = [event for event in file.new() if isinstance(event, RecordMade)]
    file.path.unlink()
    file.append(made[0])
    monkeypatch.setattr("sslbench.execute.worker.run_work", lambda *given: pytest.fail("there is nothing to do"))
    assert main([str(path)]) == 0
    assert EventFile(file.path).new()[-1] == Ended(work.key)


def test_a_torn_line_of_a_killed_worker_is_done_again(tmp_path, small_work):
    work = small_work(tmp_path)
    path, file = written(work)
    assert main([str(path)]) == 0
    whole = file.path.read_bytes()
    torn = whole[: whole.index(b'"RecordMade"') + 100]
    file.path.write_bytes(torn)
    assert main([str(path)]) == 0
    events = EventFile(file.path).new()
    assert cells(events) == ["cell-knn"]
    assert events[-1] == Ended(work.key)


def test_fresh_work_forgets_what_was_there_once(tmp_path, small_work, monkeypatch):
    work = small_work(tmp_path, fresh=True)
    _, file = written(work)
    weights = pretraining_files(Path(work.out), work.key).folder / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_text("of an earlier run")
    there = []

    def preempted(given, emit):
        there.append((weights.exists(), given.fresh))
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_text("of this run")
        raise KeyboardInterrupt

    monkeypatch.setattr("sslbench.execute.worker.run_work", preempted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            do(work, EventFile(file.path))
    assert there == [(False, False), (True, False)]


def test_a_worker_that_breaks_says_so_in_its_end(tmp_path, small_work, monkeypatch, capsys):
    def broken(work, emit):
        raise SystemExit("a plugin ended the program")

    monkeypatch.setattr("sslbench.execute.worker.run_work", broken)
    path, file = written(small_work(tmp_path))
    assert main([str(path)]) == 0
    failure = file.new()[-1].failure
    assert failure.reason == "lost: the worker failed: SystemExit: a plugin ended the program"
    assert failure.kind == "lost"
    assert "in broken" in failure.detail
    assert "a plugin ended the program" in capsys.readouterr().err


@pytest.mark.parametrize("reports", [False, True])
def test_what_goes_wrong_when_the_end_was_asked_for_is_no_result(tmp_path, small_work, monkeypatch, reports):
    """An interrupt within an import may come out of it as another error, and become a record of a failure."""

    def cut_short(work, emit):
        by_file.ENDING.set()
        if reports:
            emit(RecordMade(Record("cell-knn", "failed", method="simclr", seed=0, reason="ImportError")))
        raise ImportError("numpy.core.multiarray failed to import")

    monkeypatch.setattr("sslbench.execute.worker.run_work", cut_short)
    path, file = written(small_work(tmp_path))
    assert main([str(path)]) == 143
    assert [type(event) for event in file.new()] == [StageStarted]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        ("", "neither work nor an event"),
        ("{", "neither work nor an event"),
        (to_line(Ended("k0")), "holds no work"),
    ],
)
def test_a_file_that_holds_no_work_is_one_line(tmp_path, capsys, content, words):
    path = tmp_path / "k0.work"
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sslbench: error: on ")
    assert words in error
    assert len(error.splitlines()) == 1


def test_progress_is_thinned_and_nothing_else_is(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    file = EventFile(tmp_path / "events")
    emit = Throttled(file)
    for step in range(10):
        emit(TrainingProgress(1, 1, step, 10, 0.5, 100.0))
        emit(StageStarted(f"stage {step}"))
        now[0] += 0.5
    events = file.new()
    assert [event.step for event in events if isinstance(event, TrainingProgress)] == [0, 4, 8]
    assert sum(isinstance(event, StageStarted) for event in events) == 10


def test_sigterm_interrupts_once_and_ends_the_process_that_does_not_listen(monkeypatch):
    ended = []

    class Timer:
        daemon = False

        def __init__(self, seconds, function, arguments):
            ended.append((seconds, function, arguments))

        def start(self):
            assert self.daemon

    monkeypatch.setattr(by_file.threading, "Timer", Timer)
    signal.signal(signal.SIGTERM, by_file.end)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # the second is ignored: what ends is not interrupted
    assert ended == [(by_file.PATIENCE, os._exit, (143,))]


def test_a_worker_that_is_terminated_goes_on_bit_for_bit(tmp_path, small_work):
    """A real process, ended by SIGTERM after its first checkpoint and started again."""
    training = {"epochs": 25, "checkpoint_every": 0.05}
    whole, whole_file = written(small_work(tmp_path / "whole", training={"epochs": 25}))
    assert main([str(whole)]) == 0
    work = small_work(tmp_path / "parts", training=training)
    path, file = written(work)
    command = [sys.executable, "-m", "sslbench.execute.by_file", str(path), "--heartbeat", "0.05"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    files = pretraining_files(Path(work.out), work.key)
    while not files.checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (143, "")
    assert not any(isinstance(event, Ended) for event in EventFile(file.path).new())
    assert WorkFiles(tmp_path / "parts", work.key).heartbeat.exists()
    assert main([str(path)]) == 0
    values = [
        [event.record.metrics for event in source.new() if isinstance(event, RecordMade)]
        for source in (whole_file, file)
    ]
    assert values[0] == values[1] != []


def test_other_code_than_planned_is_refused(tmp_path, small_work):
    work = replace(small_work(tmp_path), codes={"method 'simclr'": "of another version"})
    path, file = written(work)
    assert main([str(path)]) == 0
    (record,) = [event.record for event in file.new() if isinstance(event, RecordMade)]
    assert record.status == "failed"
    assert "method 'simclr'" in record.reason
