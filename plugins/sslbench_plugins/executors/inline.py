"""Runs everything here, one pretraining after another."""

from __future__ import annotations

from sslbench import Emit, Ended, ExecutorSpec, Work, hookimpl, run_work


class HasEnded:
    """The handle of work that ended before ``submit`` returned."""

    def cancel(self) -> None:
        """There is nothing left to end."""


class Inline:
    """Runs work in this process, in this thread."""

    slots = 1

    def devices(self) -> tuple[str, ...]:
        """The CPU and every GPU of this machine."""
        import torch

        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def submit(self, work: Work, emit: Emit) -> HasEnded:
        """Runs the work and returns when it has ended."""
        run_work(work, emit)
        emit(Ended(work.key))
        return HasEnded()

    def close(self) -> None:
        """Nothing is kept."""


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="inline", build=lambda params, context: Inline())]
