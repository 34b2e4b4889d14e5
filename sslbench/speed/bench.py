"""Rows on this machine: brought into memory as many at a time as fit, warmed up, and timed in turn."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from sslbench.contracts.masking import masked_count
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.execute.outcome import reason_of, status_of
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.comparison import LEAST_ROUNDS, Comparison, compare_warm
from sslbench.measure.flops import step_flops_per_image
from sslbench.measure.memory import available_bytes, release_unused, used_bytes
from sslbench.measure.timing import Arm, Timing, WarmUp, warm_up
from sslbench.speed.budget import Budget
from sslbench.speed.facts import LargestBatch
from sslbench.speed.largest_batch import largest_batch
from sslbench.speed.rows import SpeedRow
from sslbench.speed.steps import EndToEnd, SyntheticStep, build_step, end_to_end, some_masks
from sslbench.store.record import Status
from sslbench.train.task import build_dataset

NO_ROOM_BESIDE = "not compared: there is no room in memory beside its baseline"
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

    def fail(self, error: BaseException) -> None:
        """It could not be measured."""
        self.status, self.reason = status_of(error), reason_of(error)
        self.trace = "".join(traceback.format_exception(error))


@dataclass(frozen=True)
class ReadyRow:
    """A row in memory, warmed up."""

    step: SyntheticStep
    arm: Arm
    warm_up: WarmUp


Group = Mapping[int, Measurement]
"""index of a row -> what was measured of it, baselines first"""
IndexPairs = Sequence[tuple[int, int]]
"""(index of a baseline, index of a row that is compared with it)"""


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
        """Build a row and warm it up; None, with the reason in ``measured``, where that cannot be. ``round_seconds``:
        of a pass over the rows that are timed together with it."""
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:
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
            masks = some_masks(method, row, batch_size)
            flops = step_flops_per_image(method, batch_size, masks, step.labels is not None)
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


class SpeedBench:
    """Measures groups of rows. ``report`` gets a line for each thing that is done."""

    def __init__(self, settings: BenchSettings, budget: Budget, report: Callable[[str], None]) -> None:
        self.settings, self.budget, self.report = settings, budget, report
        self.preparation = Preparation(settings, budget, report)
        self._apart: set[int] = set()
        """rows that do not fit beside their baselines"""

    def measure(self, group: Group, pairs: IndexPairs) -> None:
        """Fill in the rows of one group."""
        waiting = list(group)
        while waiting:
            chunk = self._build_chunk(group, pairs, waiting)
            self._time_chunk(chunk, group, pairs)
            chunk.clear()
            gc.collect()
            release_unused(self.settings.device)
        for measured in group.values() if self.settings.find_batch else ():
            if measured.status == "done":
                self.report(f"largest batch of {measured.row.method.name}")
                build = partial(self.preparation.build, measured.row)
                measured.largest_batch = largest_batch(build, self.settings.device)

    def _build_chunk(self, group: Group, pairs: IndexPairs, waiting: list[int]) -> dict[int, ReadyRow]:
        """As many of the rows that wait as fit, and the baselines that they need. Takes them off the list."""
        chunk: dict[int, ReadyRow] = {}
        while waiting:
            index = waiting[0]
            needed = [first for first, second in pairs if second == index and group[first].status == "done"]
            needed = [] if index in self._apart else needed
            missing = [other for other in (*needed, index) if other not in chunk]
            if chunk and not all(self.preparation.has_room(group[other].row) for other in missing):
                break
            for other in missing:
                if not self._add(other, group[other], chunk):
                    if chunk.keys() <= {*needed}:
                        # Beside nothing but its baselines there was no room: without them, and without a comparison.
                        self._apart.add(index)
                    return chunk  # there may be room once the others are gone
            waiting.pop(0)
        return chunk

    def _add(self, index: int, measured: Measurement, chunk: dict[int, ReadyRow]) -> bool:
        """Put a row into the chunk, unless it cannot be measured. False where it may fit without the others."""
        round_seconds = sum(ready.warm_up.step_ms for ready in chunk.values()) / 1000
        ready = self.preparation.ready(measured, round_seconds)
        if ready is not None:
            chunk[index] = ready
            measured.reason = NO_ROOM_BESIDE if index in self._apart else None
        elif measured.status == "oom" and (chunk or measured.timing is not None):
            measured.succeed()
            return False
        return True

    def _time_chunk(self, chunk: Mapping[int, ReadyRow], group: Group, pairs: IndexPairs) -> None:
        """Steps in turn, then whole pipelines. Keeps nothing of the chunk."""
        if not chunk:
            return
        self.report(f"timing {len(chunk)} rows in turn")
        try:
            self._time(chunk, group, pairs)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # One of them is at fault: alone, the others have their times, without a comparison.
            for index, ready in chunk.items():
                try:
                    self._time({index: ready}, group, ())
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    if group[index].timing is None:
                        group[index].fail(error)
        for index, ready in chunk.items():
            self._end_to_end(ready, group[index])

    def _time(self, chunk: Mapping[int, ReadyRow], group: Group, pairs: IndexPairs) -> None:
        indices = list(chunk)
        here = [(a, b) for a, b in pairs if a in chunk and b in chunk and a not in group[b].against]
        timings, comparisons = compare_warm(
            [ready.arm for ready in chunk.values()],
            [ready.warm_up for ready in chunk.values()],
            [(indices.index(a), indices.index(b)) for a, b in here],
            rounds=max(LEAST_ROUNDS, self.settings.steps // 2),
            seconds=self.budget.seconds_now(),
            clock=undisturbed_clock(self.settings.device),
        )
        for index, timing in zip(indices, timings, strict=True):
            group[index].timing = group[index].timing or timing
        for (baseline, row), comparison in zip(here, comparisons, strict=True):
            group[row].against[baseline] = comparison

    def _end_to_end(self, ready: ReadyRow, measured: Measurement) -> None:
        """The same step with images from the row's data set, if it has one."""
        row, settings = measured.row, self.settings
        if row.dataset is None or measured.end_to_end is not None or measured.status != "done":
            return
        assert row.augmentation is not None
        self.report(f"end to end on {row.dataset.name}")
        try:
            augmentation = row.augmentation.build(BuildContext())
            dataset = build_dataset(row.dataset, settings.download)
            steps = settings.warmup + settings.steps
            measured.end_to_end = end_to_end(ready.step, dataset, augmentation, steps, self.budget.seconds_now())
        except SslbenchError as error:
            measured.reason = reason_of(error)
