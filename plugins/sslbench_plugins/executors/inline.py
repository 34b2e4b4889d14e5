"""Runs everything here, one pretraining after another."""

from __future__ import annotations

from collections.abc import Callable

from sslbench import BuildContext, Event, ExecutorSpec, Params, Work, hookimpl, run_work


class Finished:
    """Work that ended before ``submit`` returned."""

    def wait(self) -> None:
        return


class Inline:
    """This process, this thread."""

    slots = 1

    def devices(self) -> tuple[str, ...]:
        import torch

        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def submit(self, work: Work, emit: Callable[[Event], None]) -> Finished:
        run_work(work, emit)
        return Finished()


def build(params: Params, context: BuildContext) -> Inline:
    return Inline()


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="inline", summary=__doc__.partition("\n")[0], build=build)]
