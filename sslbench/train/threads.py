"""Threads of a training step: one where several would wait for each other longer than they compute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL_STEP = 3e9
"""floating-point operations of a step below which several threads are no faster than one (``docs/log.md``)"""


@contextmanager
def enough_threads(device: torch.device, step_flops: float | None) -> Iterator[int]:
    """One thread within for a step of fewer than ``SMALL_STEP`` operations on a CPU, else as many as before; yields how
    many. What the user set with OMP_NUM_THREADS stays. It depends on the step alone, so that a training that goes on
    has as many as before."""
    before = torch.get_num_threads()
    small = device.type == "cpu" and step_flops is not None and step_flops < SMALL_STEP
    if small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
