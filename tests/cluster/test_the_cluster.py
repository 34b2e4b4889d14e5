"""The SLURM of these tests itself."""

from __future__ import annotations

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
