"""Runs everything here, one pretraining after another."""

from __future__ import annotations

from collections.abc import Callable

from sslbench import Event, ExecutorSpec, Work, hookimpl, run_work


class Finished:
    """The handle of work that ended before ``submit`` returned."""

    def wait(self) -> None:
        """Returns at once."""


class Inline:
    """Runs work in this process, in this thread."""

    slots = 1

    def devices(self) -> tuple[str, ...]:
        """The CPU and every GPU of this machine."""
        import torch

        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def submit(self, work: Work, emit: Callable[[Event], None]) -> Finished:
        """Runs the work and returns when it has ended."""
        run_work(work, emit)
        return Finished()


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="inline", build=lambda params, context: Inline())]
