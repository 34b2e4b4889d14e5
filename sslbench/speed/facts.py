"""What the record of a speed row says of it: times, memory, arithmetic, ratios. Typed here, JSON on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from sslbench.report.numbers import NOTHING
from sslbench.store.json_parts import DamagedRecord, Part
from sslbench.store.record import Record


@dataclass(frozen=True)
class PublishedRatio(Part):
    """A ratio of the literature, to stand beside a measured one."""

    ratio: float
    words: str
    """in which units, on which machine"""


@dataclass(frozen=True)
class Ratio(Part):
    """How many times as fast a row is as one of its baselines, per source image."""

    baselines: tuple[str, ...]
    """names of the baseline: several where they are one and the same row"""
    cell: str
    ratio: float
    low: float
    high: float
    """95% bootstrap interval"""
    noise_floor: float
    """how far from 1 the baseline against itself reaches, as a share"""
    differs: bool
    """whether the interval excludes 1 and the ratio is beyond the noise floor"""
    flop_bound: float | None = None
    """the ratio if time went with arithmetic"""
    share_of_bound: float | None = None
    published: tuple[PublishedRatio, ...] = ()
    statement: str | None = None
    verdict: str | None = None
    """``holds``, ``undecided`` or ``fails: ...``"""
    of_launches: bool | None = None
    """whether either row is launch-bound, so that it is the ratio of launches"""


@dataclass(frozen=True)
class EndToEndFacts(Part):
    """The step with images of a data set and augmentation. Times are milliseconds of wall clock."""

    images_per_second: float | None = None
    step_ms_median: float | None = None
    step_ms_iqr: float | None = None
    data_wait_share: float | None = None
    """0..1: share of the step spent waiting for images"""


@dataclass(frozen=True)
class LargestBatch(Part):
    """The largest batch that fits into memory, None where not even the smallest does, and how it was determined."""

    batch: int | None = None
    how: str = ""
    at_least: bool = False
    """whether the search ended before a batch that does not fit"""

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else ''}{self.batch}" if self.batch else NOTHING


@dataclass(frozen=True)
class CeilingFacts(Part):
    """Of what the device could do at most when the row was timed; the rest of those ``Ceilings`` is in ``extra``."""

    device: str
    threads: int | None = None


@dataclass(frozen=True)
class SpeedFacts(Part):
    """One timed row. Times are milliseconds, memory is bytes; what was not measured is None."""

    batch_size: int | None = None
    precision: str | None = None
    compile: str | None = None
    image_size: int | None = None
    """pixels"""
    device: str | None = None
    images: int | None = None
    images_per_second: float | None = None
    """source images in the time of the median step"""
    median_ms: float | None = None
    iqr_ms: float | None = None
    p20_ms: float | None = None
    p80_ms: float | None = None
    cpu_ms: float | None = None
    """median CPU time of the process a step; None on CUDA"""
    contended: bool | None = None
    final_loss: float | None = None
    steps: int | None = None
    warmup_steps: int | None = None
    steady: bool | None = None
    first_step_ms: float | None = None
    compile_ms: float | None = None
    host_ms: float | None = None
    """median time of a step until its call returned, with nothing to do for the device before"""
    launch_bound: bool | None = None
    """whether the device waits for launches"""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    parameters: int | None = None
    patches: tuple[int, ...] | None = None
    """(masked, all) of an image; None for a method that masks nothing"""
    peak_bytes: float | None = None
    """most memory that the row added while it warmed up"""
    reserved_bytes: float | None = None
    flops_per_image: float | None = None
    joules_per_image: float | None = None
    """of the whole GPU card, or the processors' packages"""
    utilisation: float | None = None
    """share of the fastest matrix product of the device in this precision"""
    ceilings: CeilingFacts | None = None
    end_to_end: EndToEndFacts | None = None
    largest_batch: LargestBatch | None = None
    against: tuple[Ratio, ...] = ()
    baseline_of: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """what of a row that was timed could not be measured, and why"""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """name of a field that is None -> why"""
    notes: Mapping[str, str] = field(default_factory=dict)
    """name of a baseline -> what the suite says of it"""


@dataclass(frozen=True)
class TimedRow:
    """A record of a speed suite with its facts."""

    record: Record
    facts: SpeedFacts

    @classmethod
    def of(cls, record: Record) -> Self:
        """Of a record whose facts are damaged, one that failed, with the damage as its reason."""
        try:
            return cls(record, SpeedFacts.from_json(record.speed, f"record of cell {record.cell}: speed"))
        except DamagedRecord as error:
            return cls(replace(record, status="failed", reason=str(error)), SpeedFacts())
