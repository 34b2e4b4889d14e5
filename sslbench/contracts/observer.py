"""Observers: trackers and logs that a run reports to. They are given copies and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from sslbench.contracts.executor import EpochEnded, PluginChoice
from sslbench.contracts.plugin import BuildContext, Spec


@dataclass(frozen=True)
class ObservedRun:
    """A run that begins."""

    suite: str  # its name
    out: str  # results folder, absolute
    command: str | None  # the command line that asks for the same; None for a suite that was made in Python
    pretrainings: int  # that are to run now
    cells: int  # that are to run now
    settings: Mapping[str, Any]  # of training, as resolved; JSON-able


@dataclass(frozen=True)
class ObservedPretraining:
    """A pretraining that begins, or goes on after an interruption."""

    key: str  # names it in what is reported from now on
    run: str  # what to name its run in a tracker by: the same whenever it goes on in this results folder, 16 digits
    name: str  # its plugins and seed, in words
    plugins: Mapping[str, PluginChoice]  # by kind, with all their parameters
    seed: int
    mask_ratio: float | None
    settings: Mapping[str, Any]  # of training, as resolved; JSON-able
    evaluators: Mapping[str, str]
    """key of each of its cells -> its evaluator, with the parameters by which it differs from others of that name"""
    fresh: bool  # whether it begins anew by the user's wish, whatever was reported of it before


class Observer:
    """Override what is needed. The calls come one after another, in a process of the observer's own: nobody waits for
    them. One that raises ends the observer, which is reported, and nothing else."""

    def run_started(self, run: ObservedRun) -> None:
        """The first call."""

    def pretraining_started(self, pretraining: ObservedPretraining) -> int:
        """Several may be under way. Returns the last epoch that an earlier run reported of this one, 0 for none:
        ``epoch_ended`` is called for the later ones alone, each once and in order."""
        return 0

    def epoch_ended(self, epoch: EpochEnded) -> None:
        """``epoch.work`` is the pretraining's key."""

    def record_written(self, key: str, record: Mapping[str, Any]) -> None:
        """A cell of the pretraining ``key`` has its record, as ``results --format json`` prints it."""

    def pretraining_ended(self, key: str, statuses: Mapping[str, int]) -> None:
        """How many of its cells, of those that were to run, have each status."""

    def run_finished(self, statuses: Mapping[str, int]) -> None:
        """How many cells of the suite have each status. Not called where the run was killed."""

    def close(self) -> None:
        """The last call, however the run ended; pretrainings that did not end were interrupted."""


@dataclass(frozen=True, kw_only=True)
class ObserverSpec(Spec):
    """The spec of an observer. ``build`` raises UserError for what a user can mend, before anything runs, and imports
    the observer's library, which is not imported anywhere else."""

    kind: ClassVar[str] = "observer"
    build: Callable[[Any, BuildContext], Observer]
    library: str = ""  # that it imports and that need not be installed, such as ``mlflow``
    install: str = ""  # how to get that, such as ``pip install "sslbench[mlflow]"``

    @property
    def missing(self) -> str:
        """That its library is missing, with how to get it; empty where it is there. Imports nothing."""
        if not self.library:
            return ""
        found = find_spec(self.library)
        there = found is not None and found.origin is not None  # a folder of that name is no library
        return "" if there else f"{self.label} needs {self.library}: {self.install}"
