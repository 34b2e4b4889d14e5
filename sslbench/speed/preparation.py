"""A row is brought into memory and warmed up, if there is time and room; and what was measured of it so far."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from sslbench.contracts.masking import masked_count
from sslbench.execute.failure import reason_of, status_of
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.comparison import Comparison
from sslbench.measure.flops import step_flops_per_image
from sslbench.measure.memory import available_bytes, release_unused, used_bytes
from sslbench.measure.timing import Arm, Timing, WarmUp, warm_up
from sslbench.speed.budget import Budget
from sslbench.speed.facts import LargestBatch
from sslbench.speed.rows import SpeedRow
from sslbench.speed.steps import EndToEnd, SyntheticStep, build_step
from sslbench.store.record import Status

ROOM_SHARE = 0.9
"""of the available memory that a row may take"""
ACTIVATIONS_MARGIN = 1.2
"""times the largest activations so far that a row is expected to need"""


@dataclass(frozen=True)
class BenchSettings:
    """How the rows of a suite are measured."""

    device: torch.device
    warmup: int
    """steps before the clock counts, at least"""
    steps: int
    """timed steps of a row, at most"""
    find_batch: bool = False
    download: bool = False
    """whether the user allowed fetching"""


@dataclass
class Measurement:
    """A row and what was measured of it; None for what was not."""

    row: SpeedRow
    status: Status = "done"
    reason: str | None = None
    trace: str | None = None
    timing: Timing | None = None
    flops_per_image: float | None = None
    parameters: int | None = None
    patches: tuple[int, int] | None = None
    """(masked, all) of an image"""
    peak_bytes: int | None = None
    """of the warm-up, less what was there before the row was built"""
    reserved_bytes: int | None = None
    end_to_end: EndToEnd | None = None
    largest_batch: LargestBatch | None = None
    against: dict[int, Comparison] = field(default_factory=dict)
    """index of a baseline -> how many times as fast as it"""

    def skip(self, reason: str) -> None:
        """It is not measured, for this reason."""
        self.status, self.reason = "skipped", reason

    def succeed(self) -> None:
        """What failed before was tried again and went well."""
        self.status, self.reason, self.trace = "done", None, None

    def fail(self, error: Exception) -> None:
        """It could not be measured."""
        self.status, self.reason = status_of(error), reason_of(error)
        self.trace = "".join(traceback.format_exception(error))


@dataclass(frozen=True)
class ReadyRow:
    """A row in memory, warmed up."""

    step: SyntheticStep
    arm: Arm
    warm_up: WarmUp


class Preparation:
    """Builds rows and warms them up. ``report`` gets a line before each."""

    def __init__(self, settings: BenchSettings, budget: Budget, report: Callable[[str], None]) -> None:
        self.settings, self.budget, self.report = settings, budget, report
        self._largest_activations = 0

    def build(self, row: SpeedRow, batch_size: int | None = None) -> SyntheticStep:
        """The row's step. Raises whatever keeps the plugins from being built."""
        return build_step(row, self.settings.device, batch_size, download=self.settings.download)

    def has_room(self, row: SpeedRow) -> bool:
        """Whether the row is expected to fit into the memory that is left; True where nobody knows."""
        state, available = self.budget.forecast(row).state_bytes, available_bytes(self.settings.device)
        if state is None or available is None:
            return True
        return state + ACTIVATIONS_MARGIN * self._largest_activations < ROOM_SHARE * available

    def ready(self, measured: Measurement, round_seconds: float) -> ReadyRow | None:
        """Build a row and warm it up; None, with the reason in ``measured``, where that cannot be.

        ``round_seconds``: of a pass over the rows that are timed together with it.
        """
        row, device = measured.row, self.settings.device
        refusal = self.budget.refusal(row, round_seconds)
        if refusal is not None:
            measured.skip(refusal)
            return None
        self.report(f"warming {row.name}")
        release_unused(device)
        bytes_before = used_bytes(device) or 0
        try:
            step = self.build(row)
            arm = step.arm()
            warm = warm_up(arm, undisturbed_clock(device), self.settings.warmup, self.budget.warmup_seconds)
        except Exception as error:
            measured.fail(error)
            release_unused(device)
            return None
        measured.succeed()
        self._count(measured, step, warm)
        self._note_memory(measured, warm, bytes_before)
        return ReadyRow(step, arm, warm)

    def _count(self, measured: Measurement, step: SyntheticStep, warm: WarmUp) -> None:
        """Parameters, patches and operations."""
        row, method, batch_size = measured.row, step.method, step.settings.batch_size
        flops = self.budget.forecast(row).flops_per_image
        if flops is None:  # it could not be built on the meta device; perhaps its operations can be counted there
            flops = step_flops_per_image(method, batch_size, row.mask_ratio, step.labels is not None)
        measured.flops_per_image = flops
        measured.parameters = sum(p.numel() for p in method.parameters())
        if method.mask_grid is not None and row.mask_ratio is not None:
            patches = method.mask_grid[0] * method.mask_grid[1]
            measured.patches = masked_count(patches, row.mask_ratio), patches
        if flops is not None:
            self.budget.rates[row.precision] = 1000 * flops * batch_size / warm.step_ms

    def _note_memory(self, measured: Measurement, warm: WarmUp, bytes_before: int) -> None:
        measured.reserved_bytes = warm.peak_reserved_bytes
        if warm.peak_allocated_bytes is not None:
            measured.peak_bytes = max(0, warm.peak_allocated_bytes - bytes_before)
            kept = (used_bytes(self.settings.device) or bytes_before) - bytes_before
            self._largest_activations = max(self._largest_activations, measured.peak_bytes - kept)
