"""A pretended Ray: tasks run in this process, and end as a test says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sslbench import BuildContext, Ended
from sslbench_plugins.executors.ray import build
from sslbench_plugins.executors.ray.connection import SETTINGS
from sslbench_plugins.executors.ray.needs import RayParams


class TaskCancelledError(Exception):
    """As Ray raises it."""


@dataclass
class Stream:
    """The messages of one task, up to what ends it early."""

    messages: Iterator[Any]
    most: int | None = None
    error: BaseException | None = None
    cancelled: bool = False

    def __iter__(self) -> Iterator[Any]:
        for number, message in enumerate(self.messages):
            if self.cancelled:
                raise TaskCancelledError("cancelled")
            if self.error is not None and number == self.most:
                raise self.error
            yield ("ref", message)
        if self.error is not None:
            raise self.error


@dataclass
class PretendedRay:
    """As the module ``ray``."""

    cluster: list[dict[str, Any]] = field(default_factory=list)
    gpu_ids: list[int] = field(default_factory=list)
    connected: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    """what ``init`` was given"""
    options_of_tasks: list[dict[str, Any]] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    """what the next tasks end with"""
    most: int | None = None
    """messages that come before that; None: all"""
    init_error: BaseException | None = None
    shutdowns: int = 0

    def has(self, *nodes: dict[str, float]) -> None:
        """These are the nodes."""
        self.cluster = [{"Alive": True, "Resources": node} for node in nodes]

    def is_initialized(self) -> bool:
        return self.connected

    def init(self, **given: Any) -> None:
        self.asked.append(given)
        if self.init_error:
            raise self.init_error
        self.connected = True

    def shutdown(self) -> None:
        self.connected = False
        self.shutdowns += 1

    def nodes(self) -> list[dict[str, Any]]:
        return self.cluster

    def get_gpu_ids(self) -> list[int]:
        return self.gpu_ids

    def put(self, value: Any) -> Any:
        self.stored.append(value)
        return ("ref", value)

    def get(self, ref: Any) -> Any:
        name, value = ref
        assert name == "ref"
        return value

    def cancel(self, stream: Stream, force: bool) -> None:
        assert force
        stream.cancelled = True

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        def of(function: Any) -> Any:
            class Function:
                def options(_, **more: Any) -> Any:
                    self.options_of_tasks.append({**options, **more})
                    return _

                def remote(_, *arguments: Any) -> Stream:
                    return Stream(function(*arguments), self.most, self.error)

            return Function()

        return of


@pytest.fixture
def ray(monkeypatch) -> PretendedRay:
    """The module that the executor and its tasks import, and a cluster of two nodes that answers."""
    pretended = PretendedRay()
    pretended.has({"CPU": 8, "GPU": 2, "memory": 64e9}, {"CPU": 4, "GPU": 1, "memory": 16e9})
    monkeypatch.setitem(sys.modules, "ray", pretended)
    monkeypatch.setattr("sslbench_plugins.executors.ray.connection.check", lambda address: None)
    monkeypatch.setattr("sslbench_plugins.executors.ray.task.WORKER", "inline")
    for name in ("CUDA_VISIBLE_DEVICES", *SETTINGS):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)
    return pretended


@pytest.fixture
def executor_of():
    """Make an executor of some parameters, which is closed at the end."""
    made = []

    def make(device: str = "cpu", devices: int = 1, **params: Any) -> Any:
        made.append(build(RayParams(**params), BuildContext(device=device, devices=devices)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def done():
    """Give an executor one piece of work, and return its events and how it ended."""

    def run(executor: Any, work: Any) -> tuple[list[Any], Ended]:
        events: list[Any] = []
        executor.submit(work, events.append).thread.join(60)
        *before, ended = events
        assert isinstance(ended, Ended)
        assert not any(isinstance(event, Ended) for event in before)
        return before, ended

    return run
