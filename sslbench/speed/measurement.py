"""What has come of one row of a speed suite so far."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

from sslbench.execute.outcome import reason_of, status_of
from sslbench.measure.batch_limit import BatchLimit
from sslbench.measure.comparison import Comparison
from sslbench.measure.timing import Timing
from sslbench.speed.pipeline import EndToEnd
from sslbench.speed.row import SpeedRow
from sslbench.store.record import Status


@dataclass
class Measurement:
    """A row and what was measured of it; None for what was not."""

    row: SpeedRow
    status: Status = "done"
    reason: str | None = None
    trace: str | None = None
    """traceback of what failed"""
    timing: Timing | None = None
    flops_per_image: float | None = None
    parameters: int | None = None
    patches: tuple[int, int] | None = None
    """(masked, all) of an image"""
    peak_bytes: int | None = None
    """of the warm-up, less what was there before the row was built"""
    reserved_bytes: int | None = None
    end_to_end: EndToEnd | None = None
    largest_batch: BatchLimit | None = None
    against: dict[int, Comparison] = field(default_factory=dict)
    """index of a baseline -> how many times as fast as it"""

    @property
    def flops_per_second(self) -> float | None:
        """Floating-point operations in the time of the median step, per second."""
        if self.timing is None or self.flops_per_image is None:
            return None
        return self.flops_per_image * self.timing.images_per_second

    def skip(self, reason: str) -> None:
        """It is not measured, for this reason."""
        self.status, self.reason = "skipped", reason

    def succeed(self, reason: str | None = None) -> None:
        """What failed before was tried again and went well; ``reason``: why something of it is missing."""
        self.status, self.reason, self.trace = "done", reason, None

    def fail(self, error: Exception) -> None:
        """It could not be measured."""
        self.status, self.reason = status_of(error), reason_of(error)
        self.trace = "".join(traceback.format_exception(error))
