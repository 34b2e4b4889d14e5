"""Events that a worker and the scheduler emit while a run goes on. They are dispatched by type."""

from __future__ import annotations

from dataclasses import dataclass

from sslbench.contracts.executor import Event
from sslbench.store.record import DataFacts, Record


@dataclass(frozen=True)
class PretrainingStarted(Event):
    """The scheduler begins with number ``number``, from 0, of the run's ``pretrainings``; it runs ``cells`` in all."""

    name: str
    """its plugins and seed"""
    number: int
    pretrainings: int
    cells: int


@dataclass(frozen=True)
class PretrainingEnded(Event):
    """Number ``number``, from 0, of the run's pretrainings has ended, whatever came of its cells."""

    number: int


@dataclass(frozen=True)
class StageStarted(Event):
    """A part of the work begins, such as ``extracting features``."""

    text: str


@dataclass(frozen=True)
class CellStarted(Event):
    """The evaluation of one cell begins."""

    cell: str
    """its key"""


@dataclass(frozen=True)
class Printed(Event):
    """A line that a worker printed, plugins included."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """Something that a user should know, in one line; the run goes on."""

    text: str


@dataclass(frozen=True)
class DataRead(Event):
    """What a pretraining looks at is known: the name of its data set, and what there is of it."""

    dataset: str
    facts: DataFacts


@dataclass(frozen=True)
class TrainingStarted(Event):
    """A training begins, with so many source images in a step and so many steps."""

    batch_size: int
    """as used"""
    asked: int
    """the batch size of the suite"""
    epochs: int
    steps_per_epoch: int


@dataclass(frozen=True)
class StepsTimed(Event):
    """A training has ended: its key, and the milliseconds of each step."""

    pretraining: str
    step_ms: tuple[float, ...]


@dataclass(frozen=True)
class RecordMade(Event):
    """One cell has its record."""

    record: Record
