from __future__ import annotations

from sslbench.contracts.method import Progress


def test_progress_runs_from_zero_towards_one():
    assert [Progress(step, 4, 0, 1).fraction for step in (0, 2, 4)] == [0, 0.5, 1]
