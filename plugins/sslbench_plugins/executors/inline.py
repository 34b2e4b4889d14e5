"""Runs everything here, one pretraining after another."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from sslbench import Emit, Ended, Event, ExecutorSpec, Failure, Work, hookimpl, run_work
from sslbench_plugins.executors.gpu import fault_after

ADVICE = "the same command goes on in a new process, and executor 'workers' starts one by itself"


class HasEnded:
    """The handle of work that ended before ``submit`` returned."""

    def cancel(self) -> None:
        """There is nothing left to end."""


class FaultyGpu(Exception):
    """Ends work whose other cells would fail as the last one did."""


class Inline:
    """Runs work in this process, in this thread. After a fault of the GPU, which lasts as long as the process, it tries
    nothing more: each cell that is left ends with the reason."""

    slots = 1

    def __init__(self) -> None:
        self._fault: str | None = None

    def devices(self) -> tuple[str, ...]:
        """The CPU and every GPU of this machine."""
        import torch

        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def submit(self, work: Work, emit: Emit) -> HasEnded:
        """Runs the work and returns when it has ended."""
        if self._fault is None:
            with suppress(FaultyGpu):
                run_work(work, partial(self._watched, work, emit))
        failure = self._fault and Failure(f"not tried: {self._fault}; {ADVICE}", "refused")
        emit(Ended(work.key, failure or None))
        return HasEnded()

    def _watched(self, work: Work, emit: Emit, event: Event) -> None:
        import torch

        if self._fault is None:
            emit(event)
            self._fault = fault_after(event, work, torch.cuda)
        if self._fault is not None:
            raise FaultyGpu

    def close(self) -> None:
        """Nothing is kept."""


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="inline", build=lambda params, context: Inline())]
