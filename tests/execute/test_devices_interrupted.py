"""Whole runs on two devices, as real processes, that lose a rank or the process that started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sslbench.cli.main import call
from sslbench.hooks.registry import default_registry

pytestmark = pytest.mark.slow

SMALL = "-b convnet-small:width=4 -d shapes:train_images=80,test_images=20,image_size=16 -e knn --batch-size 16"
RUN = f"run -m simclr {SMALL} --devices 2 --device cpu --executor inline --set checkpoint_every=1e-9 --format json"

KILLED = """
import os, pathlib, signal
from sslbench import AugmentationSpec, build_plugin, hookimpl, rank

class Once:
    '''Kills rank 1 in its third epoch, if it is the first that comes so far.'''

    def __init__(self):
        self.inner, self.calls = build_plugin("augmentation", "simclr"), 0

    def view(self, index, kind, size):
        transform = self.inner.view(index, kind, size)

        def call(images, generator):
            self.calls += 1
            if self.calls == 25 and rank() == 1 and (alive := pathlib.Path("alive")).exists():
                alive.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return transform(images, generator)

        return call

@hookimpl
def sslbench_augmentations():
    return [AugmentationSpec(name="killed-once", build=lambda params, context: Once())]
"""


@pytest.fixture
def train(distribution, tmp_path, monkeypatch, capsys):
    """Run the command line with an augmentation that kills rank 1 where there is a file ``alive``."""
    distribution("killed-once", {"augmentation.killed-once": "killed_once"}, {"killed_once": KILLED})
    monkeypatch.chdir(tmp_path)
    default_registry.cache_clear()

    def run(out):
        code = call([*RUN.split(), "-a", "killed-once", "--epochs", "5", "--out", out])
        return json.loads(capsys.readouterr().out)["records"], code

    yield run
    default_registry.cache_clear()


def left(out):
    (folder,) = Path(out).glob("artifacts/*")
    facts = json.loads((folder / "pretraining.json").read_text())
    return load_file(folder / "weights.safetensors"), load_file(folder / "features.safetensors"), facts


def test_a_run_that_lost_a_rank_says_so_and_goes_on_bit_for_bit(train):
    undisturbed, _ = train("whole")
    Path("alive").touch()
    (record,), code = train("out")
    assert (record["status"], record["reason"], code) == ("failed", "lost: rank 1 was killed (SIGKILL)", 1)
    assert ranks_of(os.getpid()) == []
    records, code = train("out")
    assert code == 0
    (weights, features, facts), (whole, whole_features, whole_facts) = left("out"), left("whole")
    assert facts["resumed_at"] > 0
    assert facts["losses"] == whole_facts["losses"]
    assert all(torch.equal(value, weights[name]) for name, value in whole.items())
    assert all(torch.equal(value, features[name]) for name, value in whole_features.items())
    assert [record["metrics"] for record in records] == [record["metrics"] for record in undisturbed]


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail("what was waited for did not happen")


def ranks_of(parent):
    """Process ids of the ranks that a process has started and that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat[1]) == parent and stat[0] != "Z" and b"sslbench.execute.rank" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_no_rank_outlives_the_process_that_started_it(tmp_path, gone, number, code):
    command = [sys.executable, "-m", "sslbench", *RUN.split(), "--epochs", "100000", "--out", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("out/artifacts/*/checkpoint.safetensors")) or process.poll() is not None)
    ranks = ranks_of(process.pid)
    assert len(ranks) == 2
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    for rank in ranks:
        gone(rank)
