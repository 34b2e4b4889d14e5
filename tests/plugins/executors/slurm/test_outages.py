"""A controller that is away, a queue that has forgotten a job, and jobs that wait."""

from __future__ import annotations

import os

AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
OUT = "SLURM does not answer for now (squeue: Unable to contact slurm controller (connect failure))"


def test_a_controller_that_is_away_loses_no_job(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "RUNNING")
    slurm.fails("squeue", AWAY)
    executor.rounds(100)
    assert events.warnings == [f"{OUT}; its jobs go on, and it is asked again"]
    slurm.fails("squeue", None)
    executor.rounds(2)
    worker().ends()
    executor.rounds(1)
    assert events.ended.failure is None


def test_events_arrive_while_the_controller_is_away(slurm, submitted, worker):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.fails("squeue", AWAY)
    worker().records("cell-knn")
    worker().ends()
    executor.rounds(1)
    assert events.cells == ["cell-knn"]
    assert events.ended.failure is None


def test_each_outage_is_said_once(slurm, submitted):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "RUNNING")
    for _ in range(2):
        slurm.fails("squeue", AWAY)
        executor.rounds(3)
        slurm.fails("squeue", None)
        executor.rounds(1)
    assert len(events.warnings) == 2


def test_a_job_is_submitted_when_the_controller_is_back(slurm, submitted):
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Unable to contact slurm controller")
    executor = slurm.executor()
    handle, events = submitted(executor)
    executor.rounds(3)
    assert handle.id == ""
    assert len(events.warnings) == 1
    slurm.fails("sbatch", None)
    executor.rounds(1)
    assert handle.id == "12"


def test_a_limit_on_submitted_jobs_is_waited_for(slurm, submitted):
    slurm.fails("sbatch", "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job")
    executor = slurm.executor()
    handle, events = submitted(executor)
    slurm.says("5", "RUNNING", name="another")
    executor.rounds(3)
    limit = "sbatch: QOSMaxSubmitJobPerUserLimit"
    assert events.warnings == [f"SLURM does not answer for now ({limit}); its jobs go on, and it is asked again"]
    slurm.fails("sbatch", None)
    executor.rounds(1)
    assert handle.id == "12"


def test_a_submission_that_was_heard_without_an_answer_is_not_made_twice(slurm, submitted):
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    executor = slurm.executor()
    handle, _ = submitted(executor)
    executor.round()
    slurm.fails("sbatch", None)
    slurm.says("77", "PENDING", name=handle.name)
    executor.rounds(1)
    assert handle.id == "77"
    assert len(slurm.submissions()) == 1


def test_an_array_that_was_heard_without_an_answer_is_found_element_by_element(slurm, submitted):
    slurm.fails("sbatch", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    executor = slurm.executor(array=True)
    handles = [submitted(executor, key=key)[0] for key in ("k0", "k1")]
    executor.rounds(1)
    executor.rounds(1)
    slurm.fails("sbatch", None)
    for job in ("77_1", "77_0"):
        slurm.says(job, "PENDING", name=handles[0].name)
    executor.rounds(1)
    assert [handle.id for handle in handles] == ["77_0", "77_1"]
    assert len(slurm.submissions()) == 1


def test_a_command_that_hangs_is_a_controller_that_is_away(slurm, submitted, monkeypatch):
    monkeypatch.setattr("sslbench_plugins.executors.slurm.cluster.TIMEOUT", 0.05)
    (slurm.folder.parent / "bin" / "squeue").write_text("#!/bin/sh\nexec sleep 30\n")
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    words = "SLURM does not answer for now (squeue: no answer within 0.05 s); its jobs go on, and it is asked again"
    assert events.warnings == [words]


def test_a_job_that_the_queue_has_forgotten_lives_while_its_heart_beats(slurm, submitted, worker):
    executor = slurm.executor(heartbeat=30)
    _, events = submitted(executor)
    executor.round()
    worker().begins()
    for beat in range(50):
        os.utime(touched(worker().heartbeat), (beat, beat))
        executor.rounds(1)
    assert "Ended" not in {type(event).__name__ for event in events}
    executor.rounds(8)
    assert "Ended" not in {type(event).__name__ for event in events}
    executor.rounds(1)
    log = "; it left no log"
    words = f"lost: job 12 is no longer in the queue and its heartbeat has stopped{log}"
    assert events.ended.failure.reason == words


def touched(path):
    path.touch()
    return path


def test_a_heartbeat_is_not_compared_with_the_clock_of_this_machine(slurm, submitted, worker):
    executor = slurm.executor(heartbeat=30)
    _, events = submitted(executor)
    executor.round()
    for beat in (10**9, 10**9 + 30, 10**9 + 60):
        os.utime(touched(worker().heartbeat), (beat, beat))
        executor.rounds(3)
    assert "Ended" not in {type(event).__name__ for event in events}


def test_the_accounts_are_asked_where_the_queue_has_forgotten_a_job(slurm, submitted):
    (slurm.folder / "sacct").write_text("CANCELLED by 1000|0:15|n7|01:00:00\n")
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    executor.rounds(2)
    assert events.ended.failure.reason == "job 12 was cancelled by hand (scancel); it left no log"


def test_a_number_that_was_given_again_is_not_this_job(slurm, submitted):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "RUNNING", name="another")
    executor.rounds(10)
    assert "no longer in the queue" in events.ended.failure.reason


def test_a_job_that_waits_says_why_once_after_a_minute(slurm, submitted):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "PENDING", "Priority")
    executor.rounds(6)
    assert events.warnings == []
    executor.rounds(20)
    assert events.warnings == ["job 12 waits in the queue of SLURM: Priority"]


def test_many_jobs_that_wait_for_one_reason_are_one_line(slurm, submitted):
    executor = slurm.executor()
    all_events = [submitted(executor, key=f"k{number}")[1] for number in range(3)]
    executor.round()
    for job in ("12", "13", "14"):
        slurm.says(job, "PENDING", "Resources")
    executor.rounds(20)
    assert [line for events in all_events for line in events.warnings] == [
        "3 jobs wait in the queue of SLURM: Resources"
    ]


def test_a_job_that_waits_in_vain_says_so_at_once(slurm, submitted):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    slurm.says("12", "PENDING", "PartitionTimeLimit")
    executor.rounds(1)
    words = "its time (time) is more than its partition allows"
    assert events.warnings == [f"job 12 waits in the queue of SLURM: PartitionTimeLimit ({words})"]


def test_an_error_in_following_ends_the_work(slurm, submitted, monkeypatch):
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()

    def broken(jobs, now):
        executor._closing = True
        executor._wake.set()
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(executor._watch, "look", broken)
    slurm.now += 10
    executor._follow()
    assert events.ended.failure.reason == "lost: following job 12 failed: ZeroDivisionError: a bug"
