"""Two gloo processes of four images each take the step of one process with eight."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sslbench.hooks.registry import Registry

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]
SCRIPT = Path(__file__).with_name("two_ranks.py")


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What one process and what each of two leave after a step of every method."""
    folder = tmp_path_factory.mktemp("ranks")
    calls = [(0, 1), (0, 2), (1, 2)]
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), ",".join(TRAINED), str(rank), str(ranks), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, ranks in calls
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return [load_file(folder / f"{ranks}-{rank}.safetensors") for rank, ranks in calls]


def of(method, tensors):
    return {key.removeprefix(f"{method}:"): value for key, value in tensors.items() if key.startswith(f"{method}:")}


@pytest.mark.parametrize("method", TRAINED)
def test_loss_and_gradients_are_those_of_one_process(method, steps):
    alone, first, second = (of(method, step) for step in steps)
    assert alone.keys() == first.keys() == second.keys()
    assert any(key.startswith("grad/") for key in alone)
    for key, expected in alone.items():
        # Sums over eight images in another order: float32 rounding, and what batch norm makes of it.
        assert torch.allclose(first[key], expected, rtol=1e-3, atol=2e-5), (key, (first[key] - expected).abs().max())


@pytest.mark.parametrize("method", TRAINED)
def test_queue_centre_and_statistics_agree_on_all_ranks(method, steps):
    _, first, second = (of(method, step) for step in steps)
    for key in first:
        assert torch.equal(first[key], second[key]), key
