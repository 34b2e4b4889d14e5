"""Events that a worker and the scheduler emit while a run goes on. They are dispatched by type."""

from __future__ import annotations

from dataclasses import dataclass

from sslbench.contracts.executor import Event
from sslbench.store.record import Record


@dataclass(frozen=True)
class PretrainingStarted(Event):
    """The scheduler begins with one pretraining and its cells."""

    name: str
    """its plugins and seed"""
    number: int
    """from 0"""
    pretrainings: int
    """in this run"""
    cells: int
    """to be run in all"""


@dataclass(frozen=True)
class StageStarted(Event):
    """A part of the work begins."""

    text: str
    """which, such as ``extracting features``"""


@dataclass(frozen=True)
class Warned(Event):
    """Something that a user should know, in one line; the run goes on."""

    text: str


@dataclass(frozen=True)
class StepsTimed(Event):
    """A training has ended."""

    pretraining: str
    """its key"""
    step_ms: tuple[float, ...]
    """time of each step, milliseconds"""


@dataclass(frozen=True)
class RecordMade(Event):
    """One cell has its record."""

    record: Record
