"""Rows of a speed suite on this machine: built, warmed up, timed against each other as many at a time as fit."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from sslbench.contracts.masking import masked_count
from sslbench.contracts.method import Method, MethodSpec
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.execute.failure import reason_of, status_of
from sslbench.measure.batch_limit import BatchLimit, by_growth, by_trying
from sslbench.measure.clocks import Clock, clock_for
from sslbench.measure.comparison import LEAST_ROUNDS, Comparison, compare_warm
from sslbench.measure.flops import step_flops_per_image
from sslbench.measure.memory import PeakMemory, available_bytes, release_unused, used_bytes
from sslbench.measure.timing import Arm, Timing, WarmUp, warm_up
from sslbench.measure.undisturbed import undisturbed_clock
from sslbench.speed.pipeline import EndToEnd, end_to_end
from sslbench.speed.rows import SpeedRow
from sslbench.speed.suite import COMPILING
from sslbench.speed.synthetic_step import CLASSES, EPOCHS, SyntheticStep, synthetic_step
from sslbench.train.build import build_method
from sslbench.train.task import LoopSettings, StepTask

STATE_COPIES = 4
"""a parameter, its gradient, and AdamW's two moments"""

NO_ROOM_BESIDE = "not compared: there is no room in memory beside its baseline"


@dataclass(frozen=True)
class Foreseen:
    """What a row will take, counted on tensors without numbers; None where that cannot be done."""

    flops_per_image: float | None = None
    state_bytes: int | None = None


@dataclass
class Measured:
    """What came of one row."""

    row: SpeedRow
    status: str = "done"
    reason: str | None = None
    trace: str | None = None
    timing: Timing | None = None
    flops_per_image: float | None = None
    parameters: int | None = None
    patches: tuple[int, int] | None = None
    """hidden, all"""
    peak_bytes: int | None = None
    """of the warm-up, less what was there before the row was built"""
    reserved_bytes: int | None = None
    end_to_end: EndToEnd | None = None
    limit: BatchLimit | None = None
    against: dict[int, Comparison] = field(default_factory=dict)
    """place of a baseline -> how many times as fast as it"""


@dataclass(frozen=True)
class Ready:
    """A row in memory, warmed up."""

    resident: SyntheticStep
    arm: Arm
    warm: WarmUp


def build(
    row: SpeedRow, device: torch.device, batch_size: int | None = None, *, download: bool = False
) -> SyntheticStep:
    """The row's training step with its data. Raises whatever keeps the plugins from being built. ``download``: whether
    the user allowed fetching what a plugin may need."""
    spec, params = row.method.spec, row.method.params
    assert isinstance(spec, MethodSpec)
    assert isinstance(params, MethodParams)
    mode = COMPILING[row.compile]
    settings = LoopSettings(
        epochs=EPOCHS,
        batch_size=batch_size or row.batch_size,
        seed=0,
        device=device,
        precision=row.precision,
        compile=mode is not None,
        compile_mode=mode,
    )
    masking = row.masking.build(BuildContext()) if row.masking else None
    task = StepTask(
        method=method_of(row, download),
        params=params,
        masking=masking,
        mask_ratio=row.mask_ratio,
        labels=spec.uses_labels,
    )
    return synthetic_step(task, settings)


def method_of(row: SpeedRow, download: bool) -> Method:
    context = BuildContext(row.image_size, classes=CLASSES, download=download, mask_ratio=row.mask_ratio)
    return build_method(row.method, row.backbone, context)


def foresee(row: SpeedRow) -> Foreseen:
    """What a row will take, without taking it. Whatever goes wrong here goes wrong, and is told, when it is built."""
    try:
        with torch.device("meta"):
            method = method_of(row, download=False)
        labels = bool(getattr(row.method.spec, "uses_labels", False))
        flops = step_flops_per_image(method, row.batch_size, row.mask_ratio, labels)
        return Foreseen(flops, sum(p.numel() * p.element_size() for p in method.parameters()) * STATE_COPIES)
    except Exception:
        return Foreseen()


class SpeedBench:
    """Measures groups of rows. ``afford`` says, before a row is built, whether its time is still there;
    ``warm_seconds``: after how long a row need not become steady any more."""

    def __init__(
        self,
        device: torch.device,
        warmup: int,
        steps: int,
        say: Callable[[str], None],
        afford: Callable[[SpeedRow, Foreseen, float], str | None],
        seconds_for: Callable[[], float | None],
        datasets: Callable[[SpeedRow], Any],
        warm_seconds: float | None = None,
        download: bool = False,
    ) -> None:
        self.device, self.warmup, self.steps = device, warmup, steps
        self.say, self.afford, self.seconds_for, self.datasets = say, afford, seconds_for, datasets
        self.warm_seconds, self.download = warm_seconds, download
        self.foreseen: dict[str, Foreseen] = {}
        self.largest_activations = 0
        self.apart: set[int] = set()
        """rows that do not fit beside their baselines"""
        self.rates: dict[str, float] = {}
        """precision -> floating-point operations per second, of the rows so far"""

    def measure(self, found: dict[int, Measured], pairs: Sequence[tuple[int, int]], find_batch: bool) -> None:
        """Fill in the rows of one group. ``found``: place -> row, baselines first; ``pairs``: (baseline, row)."""
        waiting = list(found)
        while waiting:
            chunk = self._build_chunk(found, pairs, waiting)
            self._time_chunk(chunk, found, pairs)
            chunk.clear()
            gc.collect()
            release_unused(self.device)
        if find_batch:
            for one in found.values():
                if one.status == "done":
                    one.limit = self._limit(one.row)

    def _time_chunk(
        self, chunk: dict[int, Ready], found: dict[int, Measured], pairs: Sequence[tuple[int, int]]
    ) -> None:
        """Steps in turn, then whole pipelines. Keeps nothing of the chunk."""
        try:
            self._time(chunk, found, pairs)
        except Exception:
            # One of them is at fault: alone, the others have their times, without a comparison.
            for place, ready in chunk.items():
                self._time_alone(ready, found[place])
        for place, ready in chunk.items():
            self._pipeline(ready, found[place])

    def _build_chunk(
        self, found: dict[int, Measured], pairs: Sequence[tuple[int, int]], waiting: list[int]
    ) -> dict[int, Ready]:
        """As many of the rows that wait as fit, and the baselines that they need. Takes them off the list."""
        chunk: dict[int, Ready] = {}
        while waiting:
            place = waiting[0]
            needed = [first for first, second in pairs if second == place and found[first].status == "done"]
            needed = [] if place in self.apart else needed
            missing = [other for other in (*needed, place) if other not in chunk]
            if chunk and not all(self._has_room(found[other].row) for other in missing):
                break
            for other in missing:
                measured = found[other].timing is not None
                ready = self._ready(found[other], sum(one.warm.step_ms for one in chunk.values()) / 1000)
                if ready is None and found[other].status == "oom" and (chunk or measured):
                    found[other].status, found[other].reason, found[other].trace = "done", None, None
                    if chunk.keys() <= {*needed}:
                        # Beside nothing but its baselines there was no room: without them, and without a comparison.
                        self.apart.add(place)
                    return chunk  # there may be room once the others are gone
                if ready is not None:
                    chunk[other] = ready
                    found[other].reason = NO_ROOM_BESIDE if other in self.apart else None
            waiting.pop(0)
        return chunk

    def clock(self) -> Clock:
        """On a CPU without what other programs took of the stepping thread's time, where the system tells."""
        return undisturbed_clock() if self.device.type == "cpu" else clock_for(self.device)

    def foreseen_of(self, row: SpeedRow) -> Foreseen:
        if row.key not in self.foreseen:
            self.foreseen[row.key] = foresee(row)
        return self.foreseen[row.key]

    def _has_room(self, row: SpeedRow) -> bool:
        need, there = self.foreseen_of(row).state_bytes, available_bytes(self.device)
        return need is None or there is None or need + 1.2 * self.largest_activations < 0.9 * there

    def _ready(self, one: Measured, round_seconds: float) -> Ready | None:
        """Build a row and warm it up; None, with the reason in ``one``, where that cannot be."""
        foreseen = self.foreseen_of(one.row)
        why = self.afford(one.row, foreseen, round_seconds)
        if why is not None:
            one.status, one.reason = "skipped", why
            return None
        self.say(f"warming {' '.join(choice.name for choice in one.row.choices.values())}")
        release_unused(self.device)
        before = used_bytes(self.device) or 0
        try:
            built = build(one.row, self.device, download=self.download)
            arm = built.arm()
            warm = warm_up(arm, self.clock(), self.warmup, self.warm_seconds)
        except Exception as error:
            self._failed(one, error)
            release_unused(self.device)
            return None
        self._note(one, built, warm, before)
        return Ready(built, arm, warm)

    def _note(self, one: Measured, built: SyntheticStep, warm: WarmUp, before: int) -> None:
        method = built.method
        one.status, one.reason, one.trace = "done", None, None
        one.flops_per_image = self.foreseen_of(one.row).flops_per_image
        if one.flops_per_image is None:  # it could not be built without numbers; perhaps it can be counted
            labels = built.labels is not None
            one.flops_per_image = step_flops_per_image(method, built.batch_size, one.row.mask_ratio, labels)
        one.parameters = sum(p.numel() for p in method.parameters())
        if method.mask_grid is not None and one.row.mask_ratio is not None:
            patches = method.mask_grid[0] * method.mask_grid[1]
            one.patches = masked_count(patches, one.row.mask_ratio), patches
        if warm.peak_allocated_bytes is not None:
            one.peak_bytes = max(0, warm.peak_allocated_bytes - before)
            kept = (used_bytes(self.device) or before) - before
            self.largest_activations = max(self.largest_activations, one.peak_bytes - kept)
        one.reserved_bytes = warm.peak_reserved_bytes
        if one.flops_per_image is not None:
            self.rates[one.row.precision] = 1000 * one.flops_per_image * built.batch_size / warm.step_ms

    def _time(self, chunk: dict[int, Ready], found: dict[int, Measured], pairs: Sequence[tuple[int, int]]) -> None:
        if not chunk:
            return
        places = list(chunk)
        here = [(a, b) for a, b in pairs if a in chunk and b in chunk and a not in found[b].against]
        self.say(f"timing {len(places)} rows in turn")
        timings, compared = compare_warm(
            [one.arm for one in chunk.values()],
            [one.warm for one in chunk.values()],
            [(places.index(a), places.index(b)) for a, b in here],
            rounds=max(LEAST_ROUNDS, self.steps // 2),
            seconds=self.seconds_for(),
            clock=self.clock(),
        )
        for place, timing in zip(places, timings, strict=True):
            found[place].timing = found[place].timing or timing
        for (a, b), comparison in zip(here, compared, strict=True):
            found[b].against[a] = comparison

    def _time_alone(self, ready: Ready, one: Measured) -> None:
        try:
            rounds = max(LEAST_ROUNDS, self.steps // 2)
            (timing,), _ = compare_warm(
                [ready.arm], [ready.warm], [], rounds=rounds, seconds=self.seconds_for(), clock=self.clock()
            )
            one.timing = one.timing or timing
        except Exception as error:
            if one.timing is None:
                self._failed(one, error)

    def _pipeline(self, ready: Ready, one: Measured) -> None:
        """The same step with images from the row's data set, if it has one."""
        if one.row.dataset is None or one.end_to_end is not None or one.status != "done":
            return
        augmentation = one.row.augmentation
        assert augmentation is not None
        self.say(f"end to end on {one.row.dataset.name}")
        try:
            built = augmentation.build(BuildContext())
            one.end_to_end = end_to_end(
                ready.resident, self.datasets(one.row), built, self.warmup + self.steps, self.seconds_for()
            )
        except SslbenchError as error:
            one.reason = reason_of(error)

    def _limit(self, row: SpeedRow) -> BatchLimit:
        """The largest batch of a row that fits beside nothing else."""
        self.say(f"largest batch of {row.method.name}")

        def peak(size: int) -> int | None:
            release_unused(self.device)
            before, memory = used_bytes(self.device), PeakMemory(self.device)
            step = build(row, self.device, size, download=self.download).arm().step
            step()
            step()
            after = memory.bytes()
            return None if before is None or after is None else after - before

        def fits(size: int) -> bool:
            try:
                peak(size)
                torch.cuda.synchronize(self.device)
                return True
            except torch.OutOfMemoryError:
                return False
            finally:
                release_unused(self.device)

        try:
            if self.device.type == "cuda":
                return by_trying(fits)
            return by_growth(peak, available_bytes(self.device))
        except Exception as error:
            return BatchLimit(None, reason_of(error))

    def _failed(self, one: Measured, error: Exception) -> None:
        one.status, one.reason = status_of(error), reason_of(error)
        one.trace = "".join(traceback.format_exception(error))
