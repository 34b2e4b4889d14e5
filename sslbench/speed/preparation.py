"""Rows brought into memory and warmed up; whatever is raised there costs that row, or that part of it, alone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch

from sslbench.contracts.masking import masked_count
from sslbench.errors import text_of
from sslbench.execute.outcome import reason_of
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.device_errors import is_gpu_fault, out_of_memory
from sslbench.measure.flops import step_flops_per_image
from sslbench.measure.memory import available_bytes, release_unused, used_bytes
from sslbench.measure.timing import Arm, WarmUp, warm_up
from sslbench.speed.budget import Budget
from sslbench.speed.measurement import Measurement
from sslbench.speed.rows import SpeedRow
from sslbench.speed.steps import SyntheticStep, build_step, some_masks

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
        self.fault: str | None = None
        """why nothing can be measured any more: every call of CUDA fails in this process"""
        self.ran_out = False
        """whether the last row had no room in memory"""
        self._largest_activations = 0

    def build(self, row: SpeedRow, batch_size: int | None = None) -> SyntheticStep:
        """The row's step. Raises whatever keeps the plugins from being built."""
        return build_step(row, self.settings.device, batch_size, download=self.settings.download)

    def has_room(self, row: SpeedRow) -> bool:
        """Whether the row is expected to fit into the memory that is left; True where nobody knows."""
        state, available = self.budget.forecast(row).state_bytes, None
        with suppress(RuntimeError):
            available = available_bytes(self.settings.device)
        if state is None or available is None:
            return True
        return state + ACTIVATIONS_MARGIN * self._largest_activations < ROOM_SHARE * available

    def ready(self, measured: Measurement, round_seconds: float) -> ReadyRow | None:
        """Build a row and warm it up; None, with the reason in ``measured``, where that cannot be. ``round_seconds``:
        of a pass over the rows that are timed together with it."""
        row, self.ran_out = measured.row, False
        refusal = self.budget.refusal(row, round_seconds)
        if self.fault is not None:
            measured.lose(self.fault)
        elif refusal is not None:
            measured.skip(refusal)
        else:
            self.report(f"warming {row.name}")
            self.release()
            if (ready := self._warm(measured)) is not None:
                return ready
            self.release()  # what the error held is free by now
        return None

    def _warm(self, measured: Measurement) -> ReadyRow | None:
        row, device = measured.row, self.settings.device
        bytes_before = used_bytes(device) or 0
        try:
            step = self.build(row)
            arm = step.arm()
            warm = warm_up(arm, undisturbed_clock(device), self.settings.warmup, self.budget.warmup_seconds)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.fail(measured, error)
            return None
        measured.succeed()
        with self.part(measured, "parameters and operations"):
            self._count(measured, step, warm)
        with self.part(measured, "memory"):
            self._note_memory(measured, warm, bytes_before)
        return ReadyRow(step, arm, warm)

    def fail(self, measured: Measurement, error: BaseException) -> None:
        """The row could not be measured."""
        self.ran_out = out_of_memory(error)
        measured.fail(error)
        self.note(measured, error)

    @contextmanager
    def part(self, measured: Measurement, name: str) -> Iterator[None]:
        """What is raised within costs that part of a row, and is told."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            measured.miss(name, reason_of(error))
            self.note(measured, error)

    def note(self, measured: Measurement, error: BaseException) -> None:
        """Find out whether anything can be measured after this error."""
        if self.fault is None and (fault := fault_after(error, self.settings.device)) is not None:
            self.fault = (
                f"not tried: after {measured.row.name} every call of CUDA fails in this process ({fault});"
                " measure what is left by a command of its own (-m, -b)"
            )

    def release(self) -> None:
        """Give memory back that nothing holds any more."""
        gc.collect()
        with suppress(RuntimeError):  # a GPU with a fault: whatever comes next says so
            release_unused(self.settings.device)

    def _count(self, measured: Measurement, step: SyntheticStep, warm: WarmUp) -> None:
        """Parameters, patches and operations."""
        row, method, batch_size = measured.row, step.method, step.settings.batch_size
        measured.parameters = sum(p.numel() for p in method.parameters())
        if method.mask_grid is not None and row.mask_ratio is not None:
            patches = method.mask_grid[0] * method.mask_grid[1]
            measured.patches = masked_count(patches, row.mask_ratio), patches
        flops = self.budget.forecast(row).flops_per_image
        if flops is None:  # it could not be built on the meta device; perhaps its operations can be counted there
            masks = some_masks(method, row, batch_size)
            flops = step_flops_per_image(method, batch_size, masks, step.labels is not None)
        measured.flops_per_image = flops
        if flops is not None:
            self.budget.rates[row.precision] = 1000 * flops * batch_size / warm.step_ms

    def _note_memory(self, measured: Measurement, warm: WarmUp, bytes_before: int) -> None:
        measured.reserved_bytes = warm.peak_reserved_bytes
        if warm.peak_allocated_bytes is not None:
            measured.peak_bytes = max(0, warm.peak_allocated_bytes - bytes_before)
            kept = (used_bytes(self.settings.device) or bytes_before) - bytes_before
            self._largest_activations = max(self._largest_activations, measured.peak_bytes - kept)


def fault_after(error: BaseException, device: torch.device) -> str | None:
    """The error that every call of CUDA ends in from now on; None where the device still works."""
    if is_gpu_fault(text_of(error)):
        return reason_of(error)
    if device.type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError as later:
            return reason_of(later)
    return None
