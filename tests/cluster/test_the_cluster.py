"""The SLURM of these tests itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_all_that_was_started_is_ended_jobs_included(slurm, tmp_path):
    before = set(slurm.left())
    other = type(slurm)(tmp_path)
    try:
        other.start()
        other.call("sbatch", "--output", f"{tmp_path}/job", "--wrap", "sleep 600")
        other.wait_for(lambda: len(other.left()) >= 5)  # munged, slurmctld, slurmd, slurmstepd and the job
    finally:
        other.end()
    assert other.left() == []
    assert set(slurm.left()) == before


def test_it_is_ended_also_where_the_tests_are_killed(slurm):
    conftest = Path(__file__).with_name("conftest.py")
    code = f"""
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("conftest", {str(conftest)!r})
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
with conftest.cluster() as started:
    started.call("sbatch", "--output=/dev/null", "--wrap", "sleep 600")
    started.wait_for(lambda: len(started.left()) >= 5)
    print(started.folder, flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    folder = Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()
    other = type(slurm)(folder)
    slurm.wait_for(lambda: not other.left() and not folder.exists())
