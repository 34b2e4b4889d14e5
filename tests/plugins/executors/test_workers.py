from __future__ import annotations

import os
import threading

import pytest

from sslbench import Ended, Failure, Printed, StageStarted
from sslbench_plugins.executors.workers import pool as pool_module
from sslbench_plugins.executors.workers.places import Place


def test_events_come_in_order_and_one_end_after_them(pool, submit):
    _, events = submit(pool(), 'stage("training"); stage("evaluating knn")')
    assert events.failure is None
    assert events.all == [
        StageStarted("starting a worker process"),
        StageStarted("training"),
        StageStarted("evaluating knn"),
        Ended("k0"),
    ]


def test_a_worker_is_kept_for_the_next_work(pool, submit):
    workers = pool()
    printed = []
    for _ in range(2):
        _, events = submit(workers, "os.write(2, f'{os.getpid()}\\n'.encode())")
        assert events.failure is None
        printed += events.printed
    assert len(set(printed)) == 1


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("os._exit(0)", "lost: the worker process ended with exit code 0"),
        ("os._exit(3)", "lost: the worker process ended with exit code 3"),
        ("sys.exit(0)", "lost: the worker process ended with exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "lost: the worker process was killed (SIGKILL)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "lost: the worker process was killed (SIGSEGV)"),
    ],
)
def test_a_death_is_a_failure_in_words_and_the_next_work_has_a_new_worker(pool, submit, do, reason):
    workers = pool()
    _, events = submit(workers, f"stage('training'); print('last words', file=sys.stderr, flush=True); {do}")
    assert events.failure == Failure(reason, "lost", "last words")
    assert [event.text for event in events.all[1:3]] in (["training", "last words"], ["last words", "training"])
    _, events = submit(workers)
    assert events.failure is None
    assert events.all[0] == StageStarted("starting a worker process")


def test_only_the_last_twenty_lines_of_its_own_work_are_kept(pool, submit):
    workers = pool()
    submit(workers, "print('earlier', file=sys.stderr)")
    _, events = submit(workers, "[print(i, file=sys.stderr) for i in range(30)]; sys.stderr.flush(); os._exit(1)")
    assert events.failure.detail == "\n".join(map(str, range(10, 30)))
    assert events.printed == [str(number) for number in range(30)]


def test_what_is_printed_comes_before_the_end_each_line_and_as_it_looks_in_the_end(pool, submit):
    _, events = submit(pool(), r"os.write(2, b'same\nsame\n\n10%\r20%\r30%\n\xff\nno end')")
    assert events.failure is None
    assert events.printed == ["same", "same", "", "30%", r"\xff", "no end"]
    assert events.all[-1] == Ended("k0")


def test_lines_may_be_long(pool, submit):
    text = "x" * 200_000
    _, events = submit(pool(), f"stage(work['training']['preset']); #{text}", training={"preset": text})
    assert events.failure is None
    assert StageStarted(text) in events.all


def test_a_worker_that_does_not_read_holds_nobody_up(pool, submit):
    workers = pool(2, child="import signal; signal.pause()")
    deaf, first = submit(workers, "#" + "x" * 200_000)
    other, second = submit(workers)
    for events in (first, second):
        events.next(StageStarted)
    for handle, events in ((deaf, first), (other, second)):
        handle.cancel()
        assert events.failure.kind == "cancelled"


def test_a_worker_that_dies_between_two_works_costs_none(pool, submit):
    workers = pool()
    _, first = submit(workers, "end(); os._exit(7)")
    assert first.failure is None
    _, second = submit(workers)
    assert second.failure is None


def test_what_is_no_event_ends_the_worker(pool, submit):
    workers = pool()
    _, events = submit(workers, "print('hello', flush=True); signal.pause()")
    assert events.failure.reason.startswith("lost: the worker process wrote what is neither work nor an event: 'hello'")
    assert submit(workers)[1].failure is None


def test_a_worker_that_leaves_is_replaced(pool, submit):
    workers = pool()
    _, first = submit(workers, "print('leaving', flush=True); end(); signal.pause()")
    assert first.failure is None
    _, second = submit(workers)
    assert second.failure is None
    assert second.all[0] == StageStarted("starting a worker process")


def test_what_a_worker_says_of_its_failure_is_passed_on(pool, submit):
    do = "print('leaving', flush=True); end(reason='lost: the GPU reports a fault: x'); os._exit(1)"
    assert submit(pool(), do)[1].failure.reason == "lost: the GPU reports a fault: x"


def test_cancel_ends_the_work_and_what_it_started(pool, submit, gone):
    workers = pool(1)
    do = "child = subprocess.Popen(['sleep', '1000']); print(child.pid, file=sys.stderr, flush=True); signal.pause()"
    running, events = submit(workers, do)
    waiting, later = submit(workers, key="k1")
    pid = int(events.next(Printed).text)
    waiting.cancel()
    assert later.failure == Failure("cancelled", "cancelled")
    running.cancel()
    running.cancel()
    assert events.next(Ended).failure.kind == "cancelled"
    gone(pid)
    assert submit(workers)[1].failure is None


def test_cancelling_what_has_ended_does_nothing(pool, submit):
    workers = pool()
    handle, events = submit(workers)
    assert events.failure is None
    handle.cancel()
    assert submit(workers)[1].failure is None
    assert len(events.all) == 2


def test_close_ends_every_worker_and_cancels_what_is_under_way(pool, submit, gone):
    workers = pool(2)
    _, idle = submit(workers, "print(os.getpid(), file=sys.stderr)")
    _, busy = submit(workers, "print(os.getpid(), file=sys.stderr, flush=True); signal.pause()")
    pids = [int(events.next(Printed).text) for events in (idle, busy)]
    assert idle.failure is None
    workers.close()
    assert busy.failure.kind == "cancelled"
    for pid in pids:
        gone(pid)


def test_closing_what_never_ran_starts_nothing(pool, monkeypatch):
    monkeypatch.setattr(pool_module.threading, "Thread", None)
    pool().close()


def test_a_program_that_cannot_be_started_is_a_failure(pool, submit, monkeypatch):
    workers = pool()
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: (_ for _ in ()).throw(OSError(11, "no more processes")))
    failure = submit(workers)[1].failure
    assert failure.reason == "lost: no worker process could be started: [Errno 11] no more processes"


def test_as_many_run_at_once_as_there_are_slots(pool, submit, tmp_path):
    workers = pool(3)
    meet = "stage('here'); [line for line in open({!r})]"
    fifos = [tmp_path / str(number) for number in range(3)]
    for fifo in fifos:
        os.mkfifo(fifo)
    runs = [submit(workers, meet.format(str(fifo)), key=fifo.name)[1] for fifo in fifos]
    for events in runs:
        while events.next(StageStarted).text != "here":
            pass
    for fifo in fifos:
        fifo.write_text("go on\n")
    assert [events.failure for events in runs] == [None] * 3


def test_work_goes_to_the_worker_that_has_read_its_data_set(pool, submit):
    from sslbench.contracts.executor import PluginChoice

    workers = pool(2)
    tell = "print(os.getpid(), file=sys.stderr)"

    def run(*names):
        runs = [submit(workers, tell, plugins={"dataset": PluginChoice(name)})[1] for name in names]
        assert [events.failure for events in runs] == [None] * len(names)
        return [events.printed[0] for events in runs]

    digits, shapes = run("digits", "shapes")
    assert digits != shapes
    assert run("shapes") == [shapes]
    assert run("digits") == [digits]
    assert run("shapes", "digits") == [shapes, digits]


def test_work_goes_to_the_gpu_that_is_shared_with_fewest(pool, submit):
    workers = pool(places=[Place("cuda", {"CUDA_VISIBLE_DEVICES": gpu}, at_once=2) for gpu in "0011"])
    facts = "os.environ['CUDA_VISIBLE_DEVICES'], work['training']['device'], work['at_once']"
    runs = [submit(workers, f"print({facts}, file=sys.stderr, flush=True); signal.pause()")[1] for _ in range(2)]
    assert [events.next(Printed).text for events in runs] == ["0 cuda 2", "1 cuda 2"]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def pass_(self, seconds, workers):
        self.now += seconds
        workers.call(lambda: None)  # it looks at the clock


@pytest.mark.parametrize(
    ("stage", "seconds", "reason"),
    [
        ("reading images", 60, "reading images took longer than 60 s (time_limit)"),
        ("extracting features", 60, "extracting features took longer than 60 s (time_limit)"),
        ("evaluating knn", 60, "evaluating 'knn' took longer than 60 s (time_limit)"),
        ("training", 120, "training took longer than 60 s (time_limit)"),
    ],
)
def test_a_stage_past_the_limit_ends_the_worker(pool, submit, stage, seconds, reason):
    clock = Clock()
    workers = pool(clock=clock)
    _, events = submit(workers, f"stage({stage!r}); signal.pause()", training={"time_limit": 60})
    while events.next(StageStarted).text != stage:
        pass
    clock.pass_(seconds - 1, workers)
    clock.pass_(1, workers)
    assert events.failure == Failure(reason, "timeout")
    assert submit(workers)[1].failure is None


def test_every_event_begins_the_time_of_a_stage_anew(pool, submit, tmp_path):
    clock = Clock()
    workers = pool(clock=clock)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    do = f"[stage('evaluating ' + line.strip()) for line in open({str(fifo)!r})]"
    _, events = submit(workers, do, training={"time_limit": 60})
    with fifo.open("w") as lines:
        for number in range(5):
            print(number, file=lines, flush=True)
            while events.next(StageStarted).text != f"evaluating {number}":
                pass
            clock.pass_(59, workers)
    assert events.failure is None


def test_without_a_limit_nothing_is_overdue(pool, submit, tmp_path):
    clock = Clock()
    workers = pool(clock=clock)
    handle, events = submit(workers, "stage('x'); signal.pause()")
    while events.next(StageStarted).text != "x":
        pass
    clock.pass_(1e9, workers)
    handle.cancel()
    assert events.failure.kind == "cancelled"


def test_a_worker_that_never_begins_is_given_longer(pool, submit):
    clock = Clock()
    workers = pool(clock=clock, child="import signal; signal.pause()")
    _, events = submit(workers, training={"time_limit": 1})
    events.next(StageStarted)
    clock.pass_(300, workers)
    clock.pass_(1, workers)
    assert events.failure == Failure("starting a worker process took longer than 1 s (time_limit)", "timeout")


def test_a_worker_without_work_that_does_not_end_is_killed(pool, submit):
    workers = pool(clock=(clock := Clock()), child=STUBBORN)
    assert submit(workers)[1].failure is None
    workers.call(workers._close)
    workers.call((closing := threading.Event()).set)
    assert closing.wait(60)
    clock.pass_(5, workers)
    workers._thread.join(60)
    assert not workers._thread.is_alive()


STUBBORN = r"""
import json, os, signal, sys
work = json.loads(sys.stdin.readline())
os.write(2, b"\x1eend of work\n")
print("begin", json.dumps({"kind": "Ended", "key": work["key"], "failure": None}), sep="\n", flush=True)
signal.pause()
"""


def test_who_takes_events_and_fails_gets_an_end_all_the_same(pool, submit, small_work):
    ends = []

    def emit(event):
        if isinstance(event, Ended):
            return ends.append(event)
        raise ValueError("a bug")

    workers = pool()
    workers.submit(small_work("x"), emit)
    workers.close()
    assert [end.failure.reason for end in ends] == ["lost: the pool of workers failed: ValueError: a bug"]
