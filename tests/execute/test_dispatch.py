"""The scheduler against executors that do whatever executors do: lose workers, drop events, answer late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sslbench.contracts.executor import Ended, Evaluation, Failure, PluginChoice, TrainingSettings, Work
from sslbench.errors import UserError
from sslbench.execute.dispatch import Dispatch, Job
from sslbench.execute.events import CellStarted, PretrainingEnded, PretrainingStarted, RecordMade, StageStarted, Warned
from sslbench.store.record import Record

CELLS = ("a", "b", "c")


def job(key="k", cells=CELLS, number=0, **more):
    evaluations = tuple(Evaluation(f"{key}-{cell}", PluginChoice("knn")) for cell in cells)
    settings = TrainingSettings(device="cpu", precision="fp32")
    work = Work(key, {"method": PluginChoice("simclr")}, 0, settings, None, evaluations, "out", **more)
    return Job(work, PretrainingStarted(f"simclr {key}", number, 1, len(cells)))


def record(cell, status="done", **more):
    return Record(cell, status, method="simclr", seed=0, **more)


def made(work, emit, *cells, status="done"):
    """The events of cells that are evaluated."""
    for cell in cells or [evaluation.cell for evaluation in work.evaluations]:
        emit(CellStarted(cell))
        emit(RecordMade(record(cell, status)))


def done(work, emit):
    made(work, emit)
    emit(Ended(work.key))


class Scripted:
    """Runs each attempt of a work by a script of its own, in threads or where it is submitted."""

    def __init__(self, *scripts, slots=1, threads=True):
        self.scripts, self.slots = list(scripts), slots
        self.works, self.cancelled, self.closed = [], [], 0
        self.pool = ThreadPoolExecutor(8) if threads else None

    def devices(self):
        return ("cpu",)

    def submit(self, work, emit):
        self.works.append(work)
        script = self.scripts[min(len(self.works), len(self.scripts)) - 1]
        if self.pool:
            self.pool.submit(script, work, emit)
        else:
            script(work, emit)
        return Cancel(self, work, emit)

    def close(self):
        self.closed += 1
        if self.pool:
            self.pool.shutdown()


class Cancel:
    def __init__(self, executor, work, emit):
        self.executor, self.work, self.emit = executor, work, emit

    def cancel(self):
        self.executor.cancelled.append(self.work.key)
        self.emit(Ended(self.work.key, Failure("cancelled", "cancelled")))


def lost_record(cell, status, reason, traceback):
    return record(cell, status, reason=reason, traceback=traceback)


def run(executor, *jobs, retries=0):
    """Every event that the scheduler passes on."""
    events = []
    Dispatch(executor, retries, events.append, lost_record).run(iter(jobs or [job()]))
    return events


def records(events):
    return {event.record.cell: event.record for event in events if isinstance(event, RecordMade)}


def statuses(events):
    return {cell: made.status for cell, made in records(events).items()}


def warnings(events):
    return [event.text for event in events if isinstance(event, Warned)]


def sent_again(executor):
    """The cells that each attempt was asked for."""
    return [[evaluation.cell for evaluation in work.evaluations] for work in executor.works]


@pytest.mark.parametrize("threads", [False, True])
def test_every_event_comes_in_order_with_the_key_of_its_work(threads):
    executor = Scripted(done, threads=threads)
    events = run(executor, job("x"), job("y", number=1))
    assert [type(event) for event in events] == 2 * [
        PretrainingStarted,
        *3 * [CellStarted, RecordMade],
        PretrainingEnded,
    ]
    assert [event.work for event in events] == 8 * ["x"] + 8 * ["y"]
    assert statuses(events) == {f"{key}-{cell}": "done" for key in "xy" for cell in CELLS}
    assert executor.closed == 1


def test_whichever_slot_is_free_is_filled_and_records_are_passed_on_at_once():
    """The first work ends only when the fourth has: waiting for the oldest would never end."""
    fourth, seen = threading.Event(), []

    def first(work, emit):
        made(work, emit)
        assert fourth.wait(60)
        emit(Ended(work.key))

    def last(work, emit):
        seen.extend(list(events))
        done(work, emit)
        fourth.set()

    events = []
    executor = Scripted(first, done, done, last, slots=2)
    Dispatch(executor, 0, events.append, lost_record).run(iter([job(f"k{n}", ["a"], n) for n in range(4)]))
    ended = [event.number for event in events if isinstance(event, PretrainingEnded)]
    assert ended == [1, 2, 3, 0]
    assert {"k0-a", "k1-a", "k2-a"} <= set(records(seen))


def test_a_worker_that_is_lost_costs_the_cell_that_it_was_at():
    def crash(work, emit):
        made(work, emit, "k-a")
        emit(CellStarted("k-b"))
        emit(Ended(work.key, Failure("lost: the worker process ended with exit code 0", detail="last words")))

    executor = Scripted(crash, done)
    events = run(executor)
    assert statuses(events) == {"k-a": "done", "k-b": "failed", "k-c": "done"}
    lost = records(events)["k-b"]
    assert (lost.reason, lost.traceback) == ("lost: the worker process ended with exit code 0", "last words")
    assert sent_again(executor) == [["k-a", "k-b", "k-c"], ["k-c"]]
    assert sum(isinstance(event, PretrainingEnded) for event in events) == 1


def test_a_worker_that_is_lost_before_the_first_cell_costs_all():
    executor = Scripted(lambda work, emit: emit(Ended(work.key, Failure("lost: it is gone"))))
    assert statuses(run(executor)) == dict.fromkeys(["k-a", "k-b", "k-c"], "failed")
    assert len(executor.works) == 1


def test_a_worker_that_is_lost_between_two_cells_costs_none():
    def leave(work, emit):
        made(work, emit, "k-a", status="failed")
        emit(Ended(work.key, Failure("lost: the GPU reports a fault")))

    executor = Scripted(leave, done)
    assert statuses(run(executor)) == {"k-a": "failed", "k-b": "done", "k-c": "done"}
    assert sent_again(executor) == [["k-a", "k-b", "k-c"], ["k-b", "k-c"]]


def test_work_that_is_refused_after_a_record_is_not_sent_again():
    def refuse(work, emit):
        made(work, emit, "k-a")
        emit(Ended(work.key, Failure("no", "refused")))

    assert statuses(run(Scripted(refuse))) == {"k-a": "done", "k-b": "failed", "k-c": "failed"}


def test_what_runs_too_long_is_a_timeout_and_the_rest_goes_on():
    def hang(work, emit):
        emit(CellStarted("k-a"))
        emit(Ended(work.key, Failure("evaluating 'knn' took longer than 60 s (time_limit)", "timeout")))

    executor = Scripted(hang, done)
    events = run(executor, retries=5)
    assert statuses(events) == {"k-a": "timeout", "k-b": "done", "k-c": "done"}
    assert warnings(events) == []


@pytest.mark.parametrize("kind", ["cancelled", "refused"])
def test_what_somebody_ended_or_refused_is_not_sent_again(kind):
    def end(work, emit):
        emit(CellStarted("k-a"))
        emit(Ended(work.key, Failure("cancelled by hand", kind)))

    executor = Scripted(end, done)
    events = run(executor, retries=3)
    assert statuses(events) == dict.fromkeys(["k-a", "k-b", "k-c"], "failed")
    assert len(executor.works) == 1


def test_lost_workers_are_tried_again_as_often_as_asked_and_begin_anew_only_once():
    def lose(work, emit):
        emit(CellStarted(work.evaluations[0].cell))
        emit(Ended(work.key, Failure("lost: the worker process was killed (SIGKILL)")))

    executor = Scripted(lose, lose, done)
    events = run(executor, job(fresh=True), retries=2)
    assert statuses(events) == dict.fromkeys(["k-a", "k-b", "k-c"], "done")
    why = "simclr k: lost: the worker process was killed (SIGKILL); tried again"
    assert warnings(events) == [f"{why} (1 of 2)", f"{why} (2 of 2)"]
    assert [work.fresh for work in executor.works] == [True, False, False]
    assert [type(event) for event in events].count(PretrainingStarted) == 1


def test_each_cell_has_tries_of_its_own():
    def lose(work, emit):
        emit(CellStarted(work.evaluations[0].cell))
        emit(Ended(work.key, Failure("lost: gone")))

    executor = Scripted(lose)
    events = run(executor, retries=1)
    assert set(statuses(events).values()) == {"failed"}
    assert [cells[0] for cells in sent_again(executor)] == ["k-a", "k-a", "k-b", "k-b", "k-c", "k-c"]


def test_a_worker_that_loses_a_process_of_its_own_is_tried_again_as_well():
    def lose_a_rank(work, emit):
        for evaluation in work.evaluations:
            emit(RecordMade(record(evaluation.cell, "failed", reason="lost: rank 1 was killed (SIGKILL)")))
        emit(Ended(work.key))

    executor = Scripted(lose_a_rank, done)
    events = run(executor, retries=1)
    assert statuses(events) == dict.fromkeys(["k-a", "k-b", "k-c"], "done")
    assert warnings(events) == ["simclr k: lost: rank 1 was killed (SIGKILL); tried again (1 of 1)"]
    assert records(run(Scripted(lose_a_rank), retries=1))["k-b"].reason == "lost: rank 1 was killed (SIGKILL)"


def test_what_fails_by_itself_is_not_tried_again():
    def fail(work, emit):
        made(work, emit, status="failed")
        emit(Ended(work.key))

    executor = Scripted(fail)
    assert set(statuses(run(executor, retries=3)).values()) == {"failed"}
    assert len(executor.works) == 1


def test_out_of_memory_is_tried_once_more_with_half_the_images():
    def partly(work, emit):
        made(work, emit, "k-a")
        made(work, emit, "k-b", "k-c", status="oom")
        emit(Ended(work.key))

    def again(work, emit):
        made(work, emit, "k-b")
        made(work, emit, "k-c", status="oom")
        emit(Ended(work.key))

    executor = Scripted(partly, again)
    events = run(executor, retries=3)
    assert statuses(events) == {"k-a": "done", "k-b": "done", "k-c": "oom"}
    assert [work.evaluation_batch for work in executor.works] == [256, 128]
    assert warnings(events) == ["simclr k: out of memory; tried again with 128 images at once"]
    assert statuses(run(Scripted(partly)))["k-b"] == "oom"  # where nobody asked for another try


def test_cells_that_a_worker_passes_over_are_named():
    """An executor that drops its events, or a worker that forgets a cell."""

    def forget(work, emit):
        made(work, emit, "k-a")
        emit(Ended(work.key))

    events = run(Scripted(forget))
    assert statuses(events) == {"k-a": "done", "k-b": "failed", "k-c": "failed"}
    assert records(events)["k-c"].reason == "the worker ended without a record of this cell"


@pytest.mark.parametrize("error", [UserError("no room"), RuntimeError("no room\nat all")])
def test_an_executor_that_takes_no_work_fails_this_work_alone(error):
    class Refusing(Scripted):
        def submit(self, work, emit):
            if work.key == "x":
                raise error
            return super().submit(work, emit)

    events = run(Refusing(done), job("x", ["a"]), job("y", ["a"], 1))
    assert statuses(events) == {"x-a": "failed", "y-a": "done"}
    words = "no room" if isinstance(error, UserError) else "RuntimeError: no room"
    assert records(events)["x-a"].reason == f"the executor did not take it: {words}"


def test_what_comes_after_the_end_or_was_not_asked_for_changes_nothing():
    leftover = []

    def lose(work, emit):
        leftover.append(emit)
        emit(Ended(work.key, Failure("lost: gone")))
        emit(Ended(work.key, Failure("lost: gone")))

    def late(work, emit):
        leftover[0](RecordMade(record("k-a", "failed")))
        leftover[0](Ended(work.key))
        emit(RecordMade(record("nobody's")))
        done(work, emit)

    executor = Scripted(lose, late)
    events = run(executor, retries=1)
    assert statuses(events) == dict.fromkeys(["k-a", "k-b", "k-c"], "done")
    assert len(executor.works) == 2
    assert warnings(events)[1:] == ["a worker sent a record of cell nobody's, which it was not asked for"]


def test_an_interrupt_ends_what_is_under_way_and_keeps_what_was_made():
    def never(work, emit):
        made(work, emit, f"{work.key}-a")
        emit(StageStarted("waiting for ever"))

    events = []

    def receive(event):
        events.append(event)
        if isinstance(event, StageStarted) and [type(item) for item in events].count(StageStarted) == 2:
            raise KeyboardInterrupt

    executor = Scripted(never, slots=2)
    jobs = [job(f"k{n}", ["a", "b"], n) for n in range(3)]
    with pytest.raises(KeyboardInterrupt):
        Dispatch(executor, 3, receive, lost_record).run(iter(jobs))
    assert sorted(executor.cancelled) == ["k0", "k1"]
    assert statuses(events) == {"k0-a": "done", "k1-a": "done"}
    assert (executor.closed, len(executor.works)) == (1, 2)


def test_an_executor_that_cannot_close_is_named_and_loses_nothing():
    class Stuck(Scripted):
        def close(self):
            super().close()
            raise OSError("it is stuck")

    events = run(Stuck(done))
    assert set(statuses(events).values()) == {"done"}
    assert warnings(events) == ["closing the executor: OSError: it is stuck"]


def test_detached_work_is_all_submitted_and_what_is_there_already_is_taken():
    executor = Scripted(done, lambda work, emit: None)
    events = []
    jobs = [job(f"k{n}", ["a"], n) for n in range(5)]
    assert Dispatch(executor, 0, events.append, lost_record).detach(iter(jobs)) == 4
    assert [work.key for work in executor.works] == ["k0", "k1", "k2", "k3", "k4"]
    assert statuses(events) == {"k0-a": "done"}
    assert executor.cancelled == []


def test_what_an_executor_does_to_its_work_changes_nothing():
    def meddle(work, emit):
        work.plugins["method"].params["temperature"] = 99
        emit(Ended(work.key, Failure("lost: gone")))

    executor = Scripted(meddle, done)
    run(executor, retries=1)
    assert executor.works[1].plugins["method"].params == {}
