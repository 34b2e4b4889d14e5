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

pytestmark = pytest.mark.slow

RUN = "run -m simclr -a simclr -b convnet-small:width=4 -e knn --devices 2 --device cpu --executor inline"
SETTINGS = "--epochs 12 --set checkpoint_every=0.1 --set evaluate_on=validation --format json"


def start(out):
    call = [sys.executable, "-m", "sslbench", *RUN.split(), *SETTINGS.split(), "--out", str(out)]
    return subprocess.Popen(call, cwd=out.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    text, errors = process.communicate(timeout=300)
    return json.loads(text)["records"], process.returncode, errors


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail("what was waited for did not happen")


def ranks_of(parent):
    """Process ids of the ranks that a process has started, in their order."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            if (
                int(stat[1]) == parent
                and stat[0] != "Z"
                and b"sslbench.execute.rank" in (folder / "cmdline").read_bytes()
            ):
                variables = (folder / "environ").read_bytes().split(b"\0")
                found[next(v for v in variables if v.startswith(b"RANK="))] = int(folder.name)
        except (OSError, StopIteration):
            continue
    return [found[key] for key in sorted(found)]


def interrupted(out, kill):
    """A run that is ended after its first checkpoint; its ranks were alive until then."""
    process = start(out)
    wait_for(lambda: list(out.glob("artifacts/*/checkpoint.safetensors")) or process.poll() is not None)
    ranks = ranks_of(process.pid)
    assert len(ranks) == 2
    kill(process, ranks)
    return process, ranks


def left(out):
    (folder,) = out.glob("artifacts/*")
    facts = json.loads((folder / "pretraining.json").read_text())
    return load_file(folder / "weights.safetensors"), load_file(folder / "features.safetensors"), facts


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    records, code, errors = finish(start(out))
    assert code == 0, errors
    return records, left(out)


def test_a_run_that_lost_a_rank_says_so_and_goes_on_bit_for_bit(tmp_path, undisturbed):
    out = tmp_path / "out"
    process, ranks = interrupted(out, lambda process, ranks: os.kill(ranks[1], signal.SIGKILL))
    ((record,), code, _) = finish(process)
    assert (record["status"], record["reason"], code) == ("failed", "lost: rank 1 was killed (SIGKILL)", 1)
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    records, code, errors = finish(start(out))
    assert code == 0, errors
    (weights, features, facts), (whole, whole_features, whole_facts) = left(out), undisturbed[1]
    assert facts["resumed_at"] > 0
    assert facts["losses"] == whole_facts["losses"]
    assert all(torch.equal(value, weights[name]) for name, value in whole.items())
    assert all(torch.equal(value, features[name]) for name, value in whole_features.items())
    assert [record["metrics"] for record in records] == [record["metrics"] for record in undisturbed[0]]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_no_rank_outlives_the_process_that_started_it(tmp_path, number, code):
    process, ranks = interrupted(tmp_path / "out", lambda process, ranks: os.kill(process.pid, number))
    process.communicate(timeout=60)
    assert process.returncode == code
    wait_for(lambda: not any(Path(f"/proc/{rank}").exists() for rank in ranks), seconds=20)
