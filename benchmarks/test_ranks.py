"""Two ranks on two cores beside one rank on one core: SimCLR on ResNet-18 at 32 px, the same batch, in turn.

What else runs on the machine meets both, but takes a core from two ranks and none from one: at rest only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("ranks_of_simclr.py")
ROUNDS, STEPS, WARM = 2, 4, 1


def trained(folder, ranks, batch):
    """Milliseconds of a step of the whole batch, and of rank 0's processor time for it."""
    folder.mkdir(exist_ok=True)
    (folder / f"store-{ranks}").unlink(missing_ok=True)
    calls = [[sys.executable, str(SCRIPT), *map(str, (rank, ranks, folder, batch, STEPS))] for rank in range(ranks)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(call, env=environment) for call in calls]
    assert [process.wait() for process in running] == [0] * ranks
    found = json.loads((folder / f"{ranks}.json").read_text())
    return median(found["step_ms"][WARM:]), found["cpu_ms"]


@pytest.mark.parametrize("batch", [64])
def test_two_ranks_are_nearly_twice_as_fast_and_take_the_same_gradient(batch, tmp_path, report_line):
    rounds = [(trained(tmp_path, 1, batch), trained(tmp_path, 2, batch)) for _ in range(ROUNDS)]
    alone, shared = (load_file(tmp_path / f"{ranks}.safetensors") for ranks in (1, 2))
    whole = torch.stack([gradient.norm() for gradient in alone.values()]).norm()
    off = max(float((shared[name] - alone[name]).norm() / whole) for name in alone)
    for clock, name in enumerate(("a step", "processor time of a rank")):
        one, two = (median(times[clock] for times in column) for column in zip(*rounds, strict=True))
        ratios = ", ".join(f"{first[clock] / second[clock]:.2f}" for first, second in rounds)
        line = f"1 rank {one:.0f} ms, 2 ranks {two:.0f} ms: {one / two:.2f} times as fast (rounds: {ratios})"
        report_line(f"SimCLR, ResNet-18, 32 px, batch {batch}, {name}: {line}")
    report_line(f"gradients in float64 within {off:.1e} of the length of the whole")
    assert off < 2e-5
