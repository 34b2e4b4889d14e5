"""What an earlier process left is found: a record, a job in the queue, or nothing."""

from __future__ import annotations

import pytest


@pytest.fixture
def left(slurm, submitted):
    """A job that another process submitted and left."""

    def leave(evaluators=("knn",), **params):
        executor = slurm.executor(**params)
        handle, events = submitted(executor, evaluators)
        executor.round()
        executor.close()
        assert "Ended" not in {type(event).__name__ for event in events}
        return handle

    return leave


def test_close_leaves_jobs_in_the_queue(slurm, left):
    left()
    assert slurm.calls("scancel") == []
    assert (slurm.out / "jobs" / "k0.json").exists()


def test_close_submits_what_waits_for_company(slurm, submitted):
    executor = slurm.executor(array=True)
    handles = [submitted(executor, key=key)[0] for key in ("k0", "k1")]
    executor.close()
    assert [handle.id for handle in handles] == ["12_0", "12_1"]


def test_close_tries_again_while_the_controller_is_away_and_then_says_so(slurm, submitted):
    slurm.fails("sbatch", "sbatch: error: Unable to contact slurm controller (connect failure)")
    executor = slurm.executor(poll=300)
    _, events = submitted(executor)
    executor.close()
    assert slurm.pauses == [10.0] * 12
    assert events.ended.failure.reason == "refused: SLURM does not answer, and the job was not submitted"


def test_a_finished_job_gives_its_record_at_once_and_nothing_is_submitted(slurm, left, worker, submitted):
    left()
    worker().records("cell-knn")
    worker().ends()
    executor = slurm.executor()
    _, events = submitted(executor)
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None
    executor.round()
    assert len(slurm.submissions()) == 1
    assert not list((slurm.out / "events").iterdir())


def test_what_was_taken_is_not_taken_again(slurm, left, worker, submitted):
    left()
    worker().records("cell-knn")
    worker().ends()
    submitted(slurm.executor())
    handle, events = submitted(executor := slurm.executor())
    executor.round()
    assert handle.id == "13"
    assert events.cells == []


def test_a_job_in_the_queue_is_followed_not_submitted_again(slurm, left, worker, submitted):
    left()
    slurm.says("12", "RUNNING")
    worker().records("cell-knn")
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.rounds(3)
    assert handle.id == "12"
    assert len(slurm.submissions()) == 1
    worker().ends()
    executor.rounds(1)
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None


def test_a_job_that_was_lost_meanwhile_says_how(slurm, left, submitted):
    left()
    slurm.ends("12", "FAILED", "0:9")
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.rounds(2)
    assert events.ended.failure.reason.startswith("lost: job 12 was killed (SIGKILL)")


def test_fresh_takes_nothing_and_waits_until_the_job_that_does_the_same_is_gone(slurm, left, worker, submitted):
    left()
    slurm.says("12", "RUNNING")
    worker().records("cell-knn")
    executor = slurm.executor()
    handle, events = submitted(executor, fresh=True)
    executor.round()
    slurm.says("12", "COMPLETING")
    executor.rounds(1)
    assert set(slurm.calls("scancel")) == {"--quiet 12"}
    assert handle.id == ""
    worker().records("cell-knn")  # its last words
    slurm.says("12", "CANCELLED")
    executor.rounds(1)
    assert handle.id == "13"
    assert not handle.files.events.exists()
    assert events.cells == []


def test_fresh_does_not_cancel_a_job_that_was_given_the_same_number(slurm, left, submitted):
    left()
    slurm.says("12", "RUNNING", name="another")
    executor = slurm.executor()
    handle, _ = submitted(executor, fresh=True)
    executor.round()
    assert handle.id == "13"
    assert slurm.calls("scancel") == []


def test_work_that_is_cancelled_gets_no_second_job(slurm, left, worker, submitted):
    left(evaluators=("knn",))
    executor = slurm.executor()
    handle, events = submitted(executor, evaluators=("knn", "linear-probe"))
    slurm.says("12", "RUNNING")
    executor.rounds(1)
    handle.cancel()
    worker().records("cell-knn")
    worker().ends()
    executor.rounds(2)
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None
    assert len(slurm.submissions()) == 1


def test_events_without_a_note_and_an_end_are_of_nobody(slurm, worker, submitted):
    worker().records("cell-knn")
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.round()
    assert handle.id == "12"
    assert events.cells == []
    assert not handle.files.events.exists()


def test_events_with_an_end_are_taken_also_without_a_note(slurm, worker, submitted):
    worker().records("cell-knn")
    worker().ends()
    _, events = submitted(slurm.executor())
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"job": "12"}', "null"])
def test_a_damaged_note_is_none(slurm, left, submitted, content):
    handle = left()
    handle.note.write_text(content)
    found, _ = submitted(executor := slurm.executor())
    executor.round()
    assert found.id == "13"


def test_cells_that_the_job_was_not_asked_for_get_another_one(slurm, left, worker, submitted):
    left(evaluators=("knn",))
    worker().records("cell-knn")
    worker().ends()
    executor = slurm.executor()
    handle, events = submitted(executor, evaluators=("knn", "linear-probe"))
    executor.round()
    assert handle.id == "13"
    assert [evaluation.cell for evaluation in handle.work.evaluations] == ["cell-linear-probe"]
    worker().records("cell-linear-probe")
    worker().ends()
    executor.rounds(1)
    assert events.cells == ["cell-knn", "cell-linear-probe"]
    assert events.ended.failure is None


def test_records_that_nobody_asks_for_now_are_not_sent(slurm, left, worker, submitted):
    left(evaluators=("knn", "linear-probe"))
    worker().records("cell-knn", "cell-linear-probe")
    worker().ends()
    _, events = submitted(slurm.executor(), evaluators=("linear-probe",))
    assert events.cells == ["cell-linear-probe"]
    assert events.ended.failure is None


def test_cancel_takes_a_job_out_of_the_queue(slurm, submitted):
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.round()
    slurm.says("12", "RUNNING")
    handle.cancel()
    executor.rounds(1, seconds=0)
    assert slurm.calls("scancel") == ["--quiet 12"]
    slurm.says("12", "COMPLETING")
    executor.rounds(1)
    assert events.ended.failure.kind == "cancelled"
    assert slurm.calls("scancel") == ["--quiet 12"]


def test_cancelled_jobs_are_one_call(slurm, submitted):
    executor = slurm.executor()
    handles = [submitted(executor, key=key)[0] for key in ("k0", "k1")]
    executor.round()
    for handle in handles:
        handle.cancel()
    executor.close()
    assert slurm.calls("scancel") == ["--quiet 12 13"]


def test_work_that_is_cancelled_before_it_is_submitted_never_is(slurm, submitted):
    executor = slurm.executor(array=True)
    handle, events = submitted(executor)
    handle.cancel()
    executor.round()
    assert events.ended.failure.kind == "cancelled"
    assert slurm.submissions() == []


def test_close_ends_what_was_cancelled_also_while_the_controller_is_away(slurm, submitted):
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.round()
    slurm.fails("scancel", "scancel: error: Unable to contact slurm controller (connect failure)")
    handle.cancel()
    executor.close()
    assert events.ended.failure.kind == "cancelled"
    assert events.warnings[-1] == "job 12 could not be cancelled; scancel 12 ends it"
    assert len(slurm.pauses) == 1
