"""What was measured of a row, and what was not, with the reason."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

from sslbench.execute.outcome import reason_of, status_of
from sslbench.measure.comparison import Comparison
from sslbench.measure.timing import Timing
from sslbench.speed.facts import LargestBatch
from sslbench.speed.rows import SpeedRow
from sslbench.speed.steps import EndToEnd
from sslbench.store.record import Status


@dataclass
class Measurement:
    """A row and what was measured of it; None for what was not."""

    row: SpeedRow
    status: Status = "done"
    reason: str | None = None
    trace: str | None = None
    missing: list[str] = field(default_factory=list)
    """parts of a row that was timed that could not be measured, each with why"""
    timing: Timing | None = None
    flops_per_image: float | None = None
    parameters: int | None = None
    patches: tuple[int, int] | None = None
    """(masked, all) of an image"""
    peak_bytes: int | None = None
    """of the warm-up, less what was there before the row was built"""
    reserved_bytes: int | None = None
    joules_per_image: float | None = None
    why_no_energy: str | None = None
    end_to_end: EndToEnd | None = None
    largest_batch: LargestBatch | None = None
    against: dict[int, Comparison] = field(default_factory=dict)
    """index of a baseline -> how many times as fast as it"""

    def skip(self, reason: str) -> None:
        """It is not measured, for this reason; what was measured of it stays."""
        if self.timing is not None:
            self.miss("measured once only", reason)
        else:
            self.status, self.reason = "skipped", reason

    def succeed(self) -> None:
        """What failed before was tried again and went well."""
        self.status, self.reason, self.trace = "done", None, None

    def fail(self, error: BaseException) -> None:
        """It could not be measured; what was measured of it before stays."""
        status, reason = status_of(error), reason_of(error)
        if self.timing is None:
            self.status, self.reason, self.trace = status, reason, "".join(traceback.format_exception(error))
        elif status != "oom":  # of memory, the rows beside it say that there was none
            self.miss("measured once only", reason)

    def lose(self, reason: str) -> None:
        """It was not tried, and that is no fault of its own."""
        if self.timing is None:
            self.status, self.reason = "failed", reason

    def miss(self, part: str, reason: str) -> None:
        """A part of it could not be measured."""
        line = reason if reason.startswith(part) else f"{part}: {reason}"
        if line not in self.missing:
            self.missing.append(line)
