"""Tests that pretend a GPU, on a machine that has one: it is hidden from the process that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def modules():
    """Those with tests so marked; to collect all of them would take a minute."""
    return [str(path) for path in files() if "mark.pretended" in path.read_text() or "marked(" in path.read_text()]


def files():
    return sorted(path for path in TESTS.rglob("test_*.py") if path != Path(__file__))


def test_whatever_pretends_is_marked():
    pretending = {str(path) for path in files() if "PretendedGpu()" in path.read_text()}
    assert pretending
    assert pretending <= set(modules())


@pytest.mark.gpu
def test_with_the_gpu_hidden_none_is_skipped():
    command = [sys.executable, "-m", "pytest", "-m", "pretended", "-p", "no:cacheprovider", "-rs", *modules()]
    done = subprocess.run(
        command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " skipped" not in done.stdout
