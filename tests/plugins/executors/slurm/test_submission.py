"""What sbatch is given, and what becomes of an answer that is no number."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sslbench import BuildContext, UserError, from_line
from sslbench_plugins.executors.slurm import build
from sslbench_plugins.executors.slurm.params import SlurmParams, options_of, script_of


def test_every_parameter_is_an_option_of_sbatch():
    asked = SlurmParams(
        partition="gpu", time=120, gpus=2, cpus=8, memory=1.5, account="lab", qos="high", constraint="a100"
    )
    assert options_of(asked, 1) == [
        "--partition=gpu",
        "--time=120",
        "--gres=gpu:2",
        "--cpus-per-task=8",
        "--mem=1536M",
        "--account=lab",
        "--qos=high",
        "--constraint=a100",
    ]


def test_what_is_not_asked_for_is_left_to_the_cluster():
    assert options_of(SlurmParams(), 1) == []


def test_other_options_are_passed_on():
    assert options_of(SlurmParams(options="--reservation=course"), 1) == ["--reservation=course"]


@pytest.mark.parametrize(
    ("params", "devices", "options"),
    [
        ({"gpus": 1}, 4, ["--gres=gpu:4", "--cpus-per-task=4"]),
        ({"gpus": 8}, 4, ["--gres=gpu:8", "--cpus-per-task=4"]),
        ({"gpus": 4, "cpus": 32}, 4, ["--gres=gpu:4", "--cpus-per-task=32"]),
        ({}, 2, ["--cpus-per-task=2"]),
        ({"cpus": 1}, 2, ["--cpus-per-task=2"]),
    ],
)
def test_a_pretraining_on_several_devices_asks_for_them_all(params, devices, options):
    assert options_of(SlurmParams(**params), devices) == options


def test_the_script_loads_modules_sets_up_and_becomes_the_worker(tmp_path):
    params = SlurmParams(modules=["cuda/12.4"], setup=["export A=1", "cd $HOME"], cpus=8, heartbeat=5)
    path = tmp_path / "it's here" / "k0.work"
    assert script_of(params, [path], 2).splitlines() == [
        "#!/bin/bash",
        "type module > /dev/null 2>&1 || . /etc/profile",
        "module load cuda/12.4 || exit 1",
        "export A=1",
        "cd $HOME",
        "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}",
        f"exec {sys.executable} -m sslbench.execute.by_file --heartbeat 5 {shlex.quote(str(path))}",
    ]


def test_the_script_never_says_which_gpu(tmp_path):
    assert "CUDA_VISIBLE_DEVICES" not in script_of(SlurmParams(gpus=2), [tmp_path / "k0.work"], 2)


def echoed(script, **environment):
    """What the script runs, printed in the place of running it."""
    variables = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(["bash"], input=script, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def test_each_job_of_an_array_takes_a_file_of_its_own(tmp_path):
    works = [tmp_path / "a b.work", tmp_path / "c'd.work"]
    script = script_of(SlurmParams(python="echo"), works)
    for place, work in enumerate(works):
        said = echoed(script, SLURM_ARRAY_TASK_ID=str(place))
        assert said == f"-m sslbench.execute.by_file --heartbeat 30 {work}"


def test_a_job_that_an_element_of_an_array_submits_is_none_itself(tmp_path):
    said = echoed(script_of(SlurmParams(python="echo"), [tmp_path / "k0.work"]), SLURM_ARRAY_TASK_ID="7")
    assert said.endswith(f" {tmp_path}/k0.work")


def test_a_job_is_submitted_with_its_log_and_noted(slurm, submitted):
    executor = slurm.executor(partition="gpu", gpus=1)
    handle, events = submitted(executor)
    executor.round()
    (call,) = slurm.submissions()
    name = slurm.name_of("12")
    assert name.startswith("sslbench-simclr-")
    fixed = "--parsable --nodes=1 --ntasks=1 --requeue --open-mode=append"
    jobs = slurm.out / "jobs"
    assert call == f"{fixed} --job-name={name} --partition=gpu --gres=gpu:1 --output={jobs}/%j.log"
    assert json.loads((jobs / "k0.json").read_text()) == {"job": "12", "name": name, "cells": ["cell-knn"]}
    assert from_line((jobs / "k0.work").read_text()) == handle.work
    assert [event.text for event in events] == ["waiting for SLURM (job 12)"]


def test_the_results_folder_is_given_as_an_absolute_path(slurm, submitted, small_work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = slurm.executor()
    handle = executor.submit(small_work(Path("out")), lambda event: None)
    assert handle.work.out == str(tmp_path / "out")


def test_a_percent_sign_in_the_folder_is_no_pattern_of_sbatch(slurm, submitted, tmp_path):
    slurm.out = tmp_path / "50%j"
    executor = slurm.executor()
    submitted(executor)
    executor.round()
    assert f"--output={tmp_path}/50%%j/jobs/%j.log" in slurm.submissions()[0]


def test_works_that_come_together_become_one_array(slurm, submitted):
    executor = slurm.executor(array=True)
    handles = [submitted(executor, key=key)[0] for key in ("k0", "k1", "k2")]
    executor.round()
    assert slurm.submissions() == []  # more may come
    executor.rounds(1, seconds=1)
    (call,) = slurm.submissions()
    assert "--array=0-2" in call
    assert f"--output={slurm.out}/jobs/%A_%a.log" in call
    assert [handle.id for handle in handles] == ["12_0", "12_1", "12_2"]
    assert [handle.log.name for handle in handles] == ["12_0.log", "12_1.log", "12_2.log"]
    script = (slurm.folder / "script.12").read_text()
    assert [script.index(f"{key}.work") for key in ("k0", "k1", "k2")] == sorted(
        script.index(f"{key}.work") for key in ("k0", "k1", "k2")
    )


def test_without_array_each_work_is_a_job_of_its_own(slurm, submitted):
    executor = slurm.executor()
    handles = [submitted(executor, key=key)[0] for key in ("k0", "k1")]
    executor.round()
    assert [handle.id for handle in handles] == ["12", "13"]


def test_a_job_that_sbatch_refuses_ends_with_its_words(slurm, submitted):
    slurm.fails(
        "sbatch", "sbatch: error: Batch job submission failed: Invalid account or account/partition combination"
    )
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    assert events.ended.failure.kind == "refused"
    assert events.ended.failure.reason == "refused: Invalid account or account/partition combination"


def test_a_folder_that_cannot_be_written_ends_the_work_with_its_name(slurm, submitted):
    slurm.out.write_text("a file")
    executor = slurm.executor()
    _, events = submitted(executor)
    executor.round()
    assert events.ended.failure.kind == "refused"
    assert str(slurm.out) in events.ended.failure.reason


def test_slots_are_the_jobs_at_a_time(slurm):
    assert slurm.executor().slots == 64
    assert slurm.executor(jobs=3).slots == 3


def test_devices_are_of_the_kind_that_jobs_ask_for(slurm):
    assert slurm.executor().devices() == ("cpu",)
    assert slurm.executor(gpus=1).devices() == ("cuda",)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:1", "device cuda:1: SLURM decides which GPU a job gets; allowed with executor 'slurm': auto, cpu, cuda"),
        ("cuda", "device cuda: executor 'slurm' asks for no GPU; give it gpus=1 or more"),
    ],
)
def test_a_device_that_no_job_could_have_is_named(slurm, device, words):
    with pytest.raises(UserError) as caught:
        build(SlurmParams(), BuildContext(device=device))
    assert caught.value.messages == (words,)


def test_without_slurm_it_is_said_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        build(SlurmParams(), BuildContext(device="auto"))
    assert caught.value.messages == (
        "executor 'slurm': there is no sbatch here; run it on a login node of the cluster, "
        "or install the client (Debian: apt-get install slurm-client)",
    )


def test_a_partition_that_is_none_is_refused_before_anything_runs(slurm):
    slurm.fails("sbatch", "sbatch: error: invalid partition specified: x\nallocation failure: Invalid partition name")
    (slurm.folder / "sinfo").write_text("low\nurgent\nlow\n")
    with pytest.raises(UserError) as caught:
        build(SlurmParams(partition="x"), BuildContext(device="auto"))
    assert caught.value.messages == (
        "executor 'slurm': sbatch refuses such jobs: Invalid partition name; given: --partition=x; "
        "partitions: low, urgent",
    )


def test_an_sbatch_without_a_cluster_is_named(slurm):
    slurm.fails("sbatch", "sbatch: fatal: Could not establish a configuration source")
    words = "executor 'slurm': sbatch finds no cluster here: fatal: Could not establish a configuration source"
    with pytest.raises(UserError) as caught:
        build(SlurmParams(), BuildContext(device="auto"))
    assert caught.value.messages == (words,)


def test_an_option_that_sbatch_does_not_know_is_named(slurm):
    slurm.fails("sbatch", "sbatch: unrecognized option '--bogus'\nTry \"sbatch --help\" for more information")
    with pytest.raises(UserError, match="refuses such jobs: unrecognized option '--bogus'; given: --bogus"):
        build(SlurmParams(options=["--bogus"]), BuildContext(device="auto"))


@pytest.mark.parametrize(
    "words",
    [
        "allocation failure: Requested node configuration is not available",  # also where all nodes are down
        "sbatch: error: Unable to contact slurm controller (connect failure)",
    ],
)
def test_what_may_pass_refuses_nothing_before_it_is_submitted(slurm, words):
    slurm.fails("sbatch", words)
    assert build(SlurmParams(), BuildContext(device="auto")).slots == 64


def test_several_devices_are_asked_for_in_the_check_as_well(slurm):
    build(SlurmParams(gpus=1), BuildContext(device="auto", devices=4))
    assert "--gres=gpu:4" in slurm.calls("sbatch")[0]
