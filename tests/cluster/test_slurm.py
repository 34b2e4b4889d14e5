"""The executor ``slurm`` on a real SLURM."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sslbench.testing.conformance import problems
from sslbench_plugins.executors.slurm import sslbench_executors

pytestmark = pytest.mark.slow

SMALL = (
    "-d shapes:train_images=160,test_images=32,image_size=16 -b convnet-small:width=4 -a affine --batch-size 64"
    " --set evaluate_on=validation --set checkpoint_every=0.05 --precision fp32"
).split()
QUICKLY = "slurm:poll=1,heartbeat=1"
LONG = ("--epochs", "100000")


@dataclass
class Started:
    """A command that runs."""

    process: subprocess.Popen[str]
    out: Path

    def result(self, code: int = 0) -> tuple[dict[str, dict], str]:
        """Its records by method and seed, and what it said, when it has ended with this code."""
        text, said = self.process.communicate(timeout=150)
        assert self.process.returncode == code, said
        records = json.loads(text)["records"] if text else []
        return {f"{record['method']} {record['seed']}": record for record in records}, said

    def says(self, words: str) -> None:
        """Returns when it has said so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        pytest.fail(f"it ended without {words!r}")

    def log(self) -> str:
        """What its jobs printed."""
        return "".join(path.read_text() for path in sorted((self.out / "jobs").glob("*.log")))


@pytest.fixture
def begin(slurm, tmp_path, monkeypatch) -> Callable[..., Started]:
    """Start ``sslbench run``; what still runs after the test is ended, jobs included."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    begun = []

    def start(*arguments: str, executor: str = QUICKLY, out: str = "out", device: str = "cpu") -> Started:
        settings = (
            *SMALL,
            "--device",
            device,
            "--executor",
            executor,
            "--out",
            str(tmp_path / out),
            "--format",
            "json",
        )
        command = [sys.executable, "-m", "sslbench", "run", "-e", "knn", *arguments, *settings]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes))
        return Started(begun[-1], tmp_path / out)

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    slurm.cancel_all()


@pytest.fixture
def jobs(slurm) -> Callable[[], set[str]]:
    """The numbers of the jobs that this test submitted."""
    before = set(slurm.jobs())
    return lambda: set(slurm.jobs()) - before


def metrics(records):
    return {name: record["metrics"]["knn_top1"]["value"] for name, record in records.items()}


def waiting(slurm, started, condition):
    """Wait for something that comes before the command ends."""
    slurm.wait_for(lambda: condition() or started.process.poll() is not None)
    assert started.process.poll() is None, started.process.communicate()


def checkpoints(started):
    return list(started.out.glob("artifacts/*/checkpoint*"))


def worker(started, method=""):
    """The process that does the work of a method."""
    files = [path for path in (started.out / "jobs").glob("*.work") if f'"name": "{method}"' in path.read_text()]
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().decode()
        except (OSError, ValueError):
            continue
        if "sslbench.execute.by_file" in line and any(str(path) in line for path in files):
            return int(folder.name)
    return None


def test_the_executor_keeps_its_contract(slurm, monkeypatch):
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    (spec,) = sslbench_executors()
    assert problems(spec) == []


def test_two_jobs_give_what_one_process_gives(begin, jobs):
    asked = ("-m", "simclr", "-m", "raw-pixels", "--epochs", "2")
    alone = begin(*asked, executor="inline", out="alone").result()[0]
    started = begin(*asked)
    records, said = started.result()
    assert {record["status"] for record in records.values()} == {"done"}
    assert metrics(records) == metrics(alone)
    assert len(jobs()) == 2
    assert sorted(path.suffix for path in (started.out / "jobs").iterdir()) == [".log", ".log"]
    assert list((started.out / "events").iterdir()) == []
    assert "2 done; 2 run now" in said


def test_an_array_is_one_submission(begin, jobs):
    started = begin("-m", "raw-pixels", "--seeds", "0-2", executor=f"{QUICKLY},array=true")
    records, _ = started.result()
    assert [record["status"] for record in records.values()] == ["done"] * 3
    assert len({job.partition("_")[0] for job in jobs()}) == 1
    assert {job.partition("_")[2] for job in jobs()} == {"0", "1", "2"}
    assert {path.stem for path in (started.out / "jobs").glob("*.log")} == jobs()


def test_a_job_goes_on_bit_for_bit_after_a_preemption_and_after_its_node_failed(slurm, begin, jobs):
    asked = ("-m", "simclr", "--epochs", "250")
    undisturbed = begin(*asked, executor="inline", out="undisturbed").result()[0]
    started = begin(*asked, executor=f"{QUICKLY},cpus=4,partition=low")
    waiting(slurm, started, lambda: checkpoints(started))
    (job,) = jobs()
    slurm.call("sbatch", "-p", "urgent", "-c", "4", "--output=/dev/null", "--wrap", "sleep 1")
    waiting(slurm, started, lambda: slurm.state(job) == "PENDING")
    slurm.wait_for(lambda: slurm.jobs("PD") == [job] and not slurm.jobs("R,CG"))
    started_again(slurm, started, job)
    waiting(slurm, started, lambda: worker(started, "simclr"))
    node = slurm.call("sinfo", "-h", "-o", "%n").split()[0]
    slurm.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    waiting(slurm, started, lambda: slurm.state(job) == "PENDING" and worker(started, "simclr") is None)
    slurm.call("scontrol", "update", f"nodename={node}", "state=resume", fails=True)  # or it is back already
    slurm.wait_for(lambda: "idle" in slurm.call("sinfo", "-h", "-o", "%T"))
    started_again(slurm, started, job)
    records, said = started.result()
    assert records["simclr 0"]["status"] == "done"
    assert metrics(records) == metrics(undisturbed)
    losses = [found["simclr 0"]["pretraining"]["losses"] for found in (records, undisturbed)]
    assert losses[0] == losses[1] != []
    assert f"job {job} was preempted or lost its node; SLURM will start it again, and it goes on" in said
    assert "DUE TO PREEMPTION" in started.log()
    assert "DUE TO NODE FAILURE" in started.log()


def started_again(slurm, started, job):
    """SLURM lets a job wait for two minutes before it starts it again, unless it is told otherwise. A start within the
    second in which the job was put back would be taken for the one that was revoked."""
    assert checkpoints(started)
    second = time.time() + 2
    slurm.wait_for(lambda: time.time() > second)
    slurm.call("scontrol", "update", f"jobid={job}", "StartTime=now")
    waiting(slurm, started, lambda: slurm.state(job) == "RUNNING")


def test_a_killed_worker_is_a_failed_record_and_the_others_are_done(slurm, begin):
    started = begin("-m", "simclr", "-m", "raw-pixels", *LONG)
    waiting(slurm, started, lambda: checkpoints(started) and worker(started, "simclr"))
    os.kill(worker(started, "simclr"), signal.SIGKILL)
    records, said = started.result(code=1)
    assert records["raw-pixels 0"]["status"] == "done"
    assert records["simclr 0"]["status"] == "failed"
    reason = rf"lost: job \d+ was killed \(SIGKILL\); log: {started.out}/jobs/\d+\.log"
    assert re.fullmatch(reason, records["simclr 0"]["reason"])
    assert "1 done, 1 failed; 2 run now" in said


def test_a_job_past_its_time_is_a_timeout(slurm, begin, jobs):
    started = begin("-m", "simclr", *LONG, executor=f"{QUICKLY},time=60")
    waiting(slurm, started, lambda: checkpoints(started))
    (job,) = jobs()
    slurm.call("scontrol", "update", f"jobid={job}", "EndTime=now")  # SLURM looks at the time twice a minute
    records, _ = started.result(code=1)
    assert records["simclr 0"]["status"] == "timeout"
    log = started.out / "jobs" / f"{job}.log"
    assert records["simclr 0"]["reason"] == f"job {job} exceeded its time of 60 minutes (time); log: {log}"
    assert "DUE TO TIME LIMIT" in records["simclr 0"]["traceback"]


def test_a_job_that_is_cancelled_by_hand_says_so(slurm, begin, jobs):
    started = begin("-m", "simclr", *LONG)
    waiting(slurm, started, lambda: checkpoints(started))
    (job,) = jobs()
    slurm.call("scancel", job)
    records, _ = started.result(code=1)
    assert records["simclr 0"]["status"] == "failed"
    assert records["simclr 0"]["reason"].startswith(f"job {job} was cancelled by hand (scancel); log: ")


def test_ctrl_c_cancels_the_jobs(slurm, begin, jobs):
    started = begin("-m", "simclr", "-m", "byol", *LONG, executor=f"{QUICKLY},cpus=4")
    waiting(slurm, started, lambda: checkpoints(started) and len(jobs()) == 2)
    os.killpg(started.process.pid, signal.SIGINT)
    _, said = started.result(code=130)
    assert "interrupted; the same command goes on from here" in said
    slurm.wait_for(lambda: not slurm.jobs("PD,R,CG"))
    assert {slurm.state(job) for job in jobs()} == {"CANCELLED"}


def test_detached_jobs_are_followed_and_then_found_done(slurm, begin, jobs):
    """Left, met while they wait, left again, finished, started again by the cluster, and taken."""
    slurm.call("scontrol", "update", "partitionname=low", "state=down")
    asked = ("-m", "raw-pixels", "-m", "random-init")
    try:
        _, said = begin(*asked, "--detach").result()
        assert "2 pretrainings left to the cluster; the same command picks up what it did" in said
        submitted = jobs()
        assert len(submitted) == 2
        begin(*asked, "--detach").result()
        assert jobs() == submitted
    finally:
        slurm.call("scontrol", "update", "partitionname=low", "state=up")
    slurm.wait_for(lambda: {slurm.state(job) for job in submitted} == {"COMPLETED"})
    first = min(submitted)
    slurm.call("scontrol", "requeue", first)
    slurm.call("scontrol", "update", f"jobid={first}", "StartTime=now")
    slurm.wait_for(lambda: slurm.state(first) != "COMPLETED")
    slurm.wait_for(lambda: slurm.state(first) == "COMPLETED")
    started = begin(*asked)
    records, said = started.result()
    assert jobs() == submitted
    assert [record["status"] for record in records.values()] == ["done", "done"]
    assert "2 done; 2 run now" in said


def test_a_controller_that_is_away_loses_no_job(slurm, begin, jobs):
    started = begin("-m", "simclr", "--epochs", "400")
    waiting(slurm, started, lambda: checkpoints(started))
    (job,) = jobs()
    slurm.stop("slurmctld")
    started.says("SLURM does not answer for now (squeue: Unable to contact slurm controller")
    slurm.spawn("slurmctld", "-D")
    slurm.wait_for(lambda: slurm.state(job))
    records, _ = started.result()
    assert records["simclr 0"]["status"] == "done"
    assert jobs() == {job}


def test_which_gpu_a_job_gets_is_what_slurm_says(begin):
    """The GPUs of this cluster are pretended, so the job finds none that computes."""
    executor = f'{QUICKLY},gpus=1,setup="echo the job sees GPU $CUDA_VISIBLE_DEVICES"'
    started = begin("-m", "raw-pixels", executor=executor, device="cuda")
    records, _ = started.result(code=1)
    assert re.search(r"the job sees GPU [01]\n", started.log())
    assert records["raw-pixels 0"]["status"] == "failed"


def test_a_partition_that_is_none_is_one_line(begin):
    _, said = begin("-m", "raw-pixels", executor="slurm:partition=none").result(code=2)
    assert said == (
        "sslbench: error: executor 'slurm': sbatch refuses such jobs: Invalid partition name specified; "
        "given: --partition=none; partitions: low, urgent\n"
    )
