"""What a job that left no result ended of, in words."""

from __future__ import annotations

import pytest

from sslbench import Failure

NO_FILE = "sslbench: error: on n1: [Errno 2] No such file or directory: '{out}/jobs/k0.work'"


@pytest.fixture
def ended(slurm, submitted, worker):
    """A job began, then ended as SLURM says; the failure that is reported."""

    def end(state, code="0:0", log="a line\n", began=True, params=None, **more) -> Failure:
        executor = slurm.executor(**(params or {}))
        handle, events = submitted(executor)
        executor.round()
        if began:
            worker().begins()
        if log is not None:
            handle.log.write_text(log)
        slurm.says("12", "RUNNING")
        executor.rounds(1)
        slurm.ends("12", state, code, **more)
        executor.rounds(1)
        assert len(events) < 2 or events[-1].__class__.__name__ != "Ended"  # it may be put back into the queue
        executor.rounds(5)
        return events.ended.failure

    return end


@pytest.mark.parametrize(
    ("state", "code", "params", "kind", "words"),
    [
        ("TIMEOUT", "0:15", {"time": 60}, "timeout", "job 12 exceeded its time of 60 minutes (time)"),
        ("TIMEOUT", "0:15", {}, "timeout", "job 12 exceeded the time of its partition, 01:00:00 (time)"),
        ("DEADLINE", "0:15", {"time": 60}, "timeout", "job 12 exceeded its time of 60 minutes (time)"),
        ("OUT_OF_MEMORY", "0:125", {"memory": 4}, "lost", "lost: job 12 ran out of memory (memory=4 GB)"),
        ("OUT_OF_MEMORY", "0:125", {}, "lost", "lost: job 12 ran out of memory (memory is not given)"),
        ("NODE_FAIL", "0:0", {}, "lost", "lost: job 12: its node n1 failed"),
        ("BOOT_FAIL", "0:0", {}, "lost", "lost: job 12: its node n1 did not boot"),
        ("PREEMPTED", "0:15", {}, "lost", "lost: job 12: it was preempted and not put into the queue again"),
        ("CANCELLED", "0:15", {}, "cancelled", "job 12 was cancelled by hand (scancel)"),
        ("FAILED", "0:9", {}, "lost", "lost: job 12 was killed (SIGKILL)"),
        ("FAILED", "137:0", {}, "lost", "lost: job 12 was killed (SIGKILL)"),
        ("FAILED", "139:0", {}, "lost", "lost: job 12 was killed (SIGSEGV)"),
        ("FAILED", "0:99", {}, "lost", "lost: job 12 was killed (signal 99)"),
        ("FAILED", "3:0", {}, "lost", "lost: job 12 ended with exit code 3: a line"),
        ("COMPLETED", "0:0", {}, "lost", "lost: job 12 ended (completed) and its work did not"),
    ],
)
def test_each_way_to_end_has_its_words(slurm, ended, state, code, params, kind, words):
    failure = ended(state, code, params=params)
    log = slurm.out / "jobs" / "12.log"
    assert failure == Failure(f"{words}; log: {log}", kind, "a line")


def test_the_last_lines_of_the_log_are_kept(ended):
    failure = ended("FAILED", "1:0", log="".join(f"line {number}\n" for number in range(100)))
    assert failure.detail.splitlines() == [f"line {number}" for number in range(80, 100)]


def test_a_kill_that_the_log_ascribes_to_memory_is_one(ended):
    failure = ended("FAILED", "0:9", log="slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch\n")
    assert failure.reason.startswith("lost: job 12 ran out of memory (memory is not given); log: ")


@pytest.mark.parametrize("log", [None, NO_FILE])
def test_a_results_folder_that_the_node_does_not_see_is_named(slurm, ended, log):
    text = log.format(out=slurm.out) if log else None
    failure = ended("FAILED", "0:53" if log is None else "2:0", log=text, began=False)
    words = f"node n1 of job 12 does not see {slurm.out}: --out must be a folder that all nodes share"
    assert (failure.reason, failure.kind) == (f"refused: {words}", "refused")


def test_a_job_that_left_no_log_says_so(ended):
    assert ended("FAILED", "1:0", log=None).reason == "lost: job 12 ended with exit code 1; it left no log"


def test_what_a_worker_recorded_before_it_was_lost_is_kept(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor, evaluators=("knn", "linear-probe"))
    executor.round()
    slurm.says("12", "RUNNING")
    worker().records("cell-knn")
    slurm.ends("12", "FAILED", "0:9")
    executor.rounds(2)
    assert events.cells == ["cell-knn"]
    assert "SIGKILL" in events.ended.failure.reason


def test_events_that_come_late_count(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "RUNNING")
    executor.rounds(1)
    slurm.ends("12", "COMPLETED")
    executor.rounds(1)
    worker().records("cell-knn")
    worker().ends()
    executor.rounds(1)
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None


def test_a_job_that_is_put_back_into_the_queue_has_not_ended(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    for state, rounds in (("NODE_FAIL", 4), ("PENDING", 1), ("RUNNING", 1), ("PREEMPTED", 5), ("PENDING", 1)):
        slurm.ends("12", state)
        executor.rounds(rounds)
    slurm.says("12", "FAILED")  # while scontrol, asked later, knows that it waits again
    executor.rounds(5)
    slurm.ends("12", "RUNNING")
    executor.rounds(1)
    worker().ends()
    executor.rounds(1)
    assert events.ended.failure is None


def test_a_preemption_is_said(slurm, submitted):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    for state in ("RUNNING", "PENDING", "PENDING", "RUNNING"):
        slurm.says("12", state)
        executor.rounds(1)
    words = "job 12 was preempted or lost its node; SLURM will start it again, and it goes on"
    assert events.warnings == [words]


def test_a_failure_that_the_worker_reports_is_passed_on(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    worker().ends(Failure("lost: the worker failed: OSError: full", detail="trace"))
    executor.rounds(1)
    assert events.ended.failure == Failure("lost: the worker failed: OSError: full", detail="trace")


def test_what_has_been_reported_leaves_only_the_log(slurm, submitted, worker):
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.round()
    handle.log.write_text("hello\n")
    worker().heartbeat.touch()
    worker().ends()
    executor.rounds(1)
    assert events.ended.failure is None
    assert [path.name for path in slurm.out.rglob("*") if path.is_file()] == ["12.log"]
