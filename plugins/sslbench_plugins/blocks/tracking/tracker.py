"""An observer that keeps one run of a tracker for each pretraining, and goes on in it when the pretraining does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from sslbench import EpochEnded, ObservedPretraining, ObservedRun, Observer
from sslbench_plugins.blocks.tracking.words import counts, of_epoch, of_record

End = Literal["finished", "failed", "interrupted"]


class TrackedRun(ABC):
    """One run of a tracker, open."""

    last_epoch: int = 0
    """that the tracker has of it"""
    has_cost: bool = False
    """whether the tracker has what its training cost"""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Metrics after an epoch."""

    @abstractmethod
    def result(self, metrics: Mapping[str, float], epochs: int) -> None:
        """Metrics of an evaluation, or cost, after the last of ``epochs``."""

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
        final, cost = of_record(pretraining.evaluators[record["cell"]], record)
        epochs = (record["pretraining"] or {}).get("epochs") or 0
        tracked.result(final | ({} if tracked.has_cost else cost), epochs)
        tracked.has_cost |= bool(cost)

    def pretraining_ended(self, key: str, statuses: Mapping[str, int]) -> None:
        _, tracked = self._open.pop(key)
        how: End = "finished" if set(statuses) <= {"done", "collapsed"} else "failed"
        tracked.end(how, "; ".join([counts(statuses), *dict.fromkeys(self._reasons.pop(key, []))]))

    def close(self) -> None:
        for _, tracked in self._open.values():
            tracked.end("interrupted", "interrupted")
