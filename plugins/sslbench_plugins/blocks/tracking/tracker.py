"""An observer that keeps one run of a tracker for each pretraining, and goes on in it when the pretraining does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from sslbench import EpochEnded, ObservedPretraining, ObservedRun, Observer, UserError
from sslbench_plugins.blocks.tracking.words import counts, of_epoch, of_record

End = Literal["finished", "failed", "interrupted"]


class TrackedRun(ABC):
    """One run of a tracker, open."""

    last_epoch: int = 0
    """that the tracker has of it"""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Metrics after an epoch."""

    @abstractmethod
    def result(self, metrics: Mapping[str, float], epochs: int) -> None:
        """Metrics of an evaluation and cost, after the last of ``epochs``."""

    @abstractmethod
    def end(self, how: End, words: str) -> None:
        """Close it; ``words``: how many of its cells have each status, and why some failed."""


class Tracker(Observer, ABC):
    """One ``TrackedRun`` for each pretraining."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[ObservedPretraining, TrackedRun]] = {}
        self._reasons: dict[str, list[str]] = {}
        """why cells of a pretraining failed"""

    @abstractmethod
    def open(self, pretraining: ObservedPretraining, run: ObservedRun) -> TrackedRun:
        """Begin the tracker's run of this pretraining, or go on in the one that it has."""

    def run_started(self, run: ObservedRun) -> None:
        self._run = run

    def pretraining_started(self, pretraining: ObservedPretraining) -> int:
        tracked = self.open(pretraining, self._run)
        self._open[pretraining.key] = pretraining, tracked
        return tracked.last_epoch

    def epoch_ended(self, epoch: EpochEnded) -> None:
        _, tracked = self._open[epoch.work]
        tracked.log(of_epoch(epoch), epoch.epoch)

    def record_written(self, key: str, record: Mapping[str, Any]) -> None:
        pretraining, tracked = self._open[key]
        if record["reason"]:
            self._reasons.setdefault(key, []).append(record["reason"])
        facts = record["pretraining"] or {}
        tracked.result(of_record(pretraining.evaluators[record["cell"]], record), facts.get("epochs") or 0)

    def pretraining_ended(self, key: str, statuses: Mapping[str, int]) -> None:
        _, tracked = self._open.pop(key)
        how: End = "finished" if set(statuses) <= {"done", "collapsed"} else "failed"
        tracked.end(how, "; ".join([counts(statuses), *dict.fromkeys(self._reasons.pop(key, []))]))

    def close(self) -> None:
        for _, tracked in self._open.values():
            tracked.end("interrupted", "interrupted")


def library(module: str, observer: str) -> Any:
    """A module of the library that an observer needs. Raises UserError, which says how to get it."""
    try:
        found = import_module(module)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("", module.partition(".")[0]):
            raise
        found = None
    if getattr(found, "__file__", None) is None:  # a folder of that name is no library
        raise UserError(f'observer {observer!r} needs {module.partition(".")[0]}: pip install "sslbench[{observer}]"')
    return found
