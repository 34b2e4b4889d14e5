"""Rows on this machine: brought into memory as many at a time as fit, warmed up, and timed in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.execute.outcome import reason_of
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.comparison import LEAST_ROUNDS, compare_warm
from sslbench.measure.energy import SECONDS, EnergyMeter, joules_per_image
from sslbench.speed.budget import Budget
from sslbench.speed.largest_batch import largest_batch
from sslbench.speed.measurement import Measurement
from sslbench.speed.preparation import BenchSettings, Preparation, ReadyRow
from sslbench.speed.steps import end_to_end
from sslbench.train.task import build_dataset

NO_ROOM_BESIDE = "not compared: there is no room in memory beside its baseline"
EAGERLY = "of the step run eagerly, for a compiled one compiles anew at each size"

Group = Mapping[int, Measurement]
"""index of a row -> what was measured of it, baselines first"""
IndexPairs = Sequence[tuple[int, int]]
"""(index of a baseline, index of a row that is compared with it)"""


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
            self.preparation.release()
        if self.settings.find_batch:
            self._find_batches([measured for measured in group.values() if measured.status == "done"])

    def _find_batches(self, rows: Sequence[Measurement]) -> None:
        """The largest batch of each, in equal shares of the time that is left."""
        for number, measured in enumerate(rows):
            if self.preparation.fault is not None:
                measured.miss("largest batch", self.preparation.fault)
                continue
            self.report(f"largest batch of {measured.row.method.name}")
            left = self.budget.seconds_now()
            seconds = None if left is None else left / (len(rows) - number)
            build = partial(self.preparation.build, replace(measured.row, compile="eager"))
            limit = largest_batch(build, self.settings.device, seconds)
            self.preparation.note(measured, SslbenchError(limit.how))
            if limit.batch is None:
                measured.miss("largest batch", limit.how)
            elif measured.row.compile != "eager":
                limit = replace(limit, how=f"{limit.how}; {EAGERLY}")
            measured.largest_batch = limit
            self.preparation.release()

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
            if index in self._apart:
                measured.miss("not compared", NO_ROOM_BESIDE)
        elif self.preparation.ran_out and (chunk or measured.timing is not None):
            measured.succeed()
            return False
        return True

    def _time_chunk(self, chunk: Mapping[int, ReadyRow], group: Group, pairs: IndexPairs) -> None:
        """Steps in turn, then whole pipelines. Keeps nothing of the chunk."""
        if not chunk:
            return
        self.report(f"timing {len(chunk)} rows in turn")
        reason = self._timed(chunk, group, pairs)
        if reason is not None and len(chunk) > 1:
            self._time_each(chunk, group, pairs, reason)
        for index, ready in chunk.items():
            with self.preparation.part(group[index], "energy"):
                self._energy(ready, group[index])
            with self.preparation.part(group[index], "end to end"):
                self._end_to_end(ready, group[index])

    def _timed(self, chunk: Mapping[int, ReadyRow], group: Group, pairs: IndexPairs) -> str | None:
        """Time rows in turn. Why that could not be done, or None; a row that was alone has failed then."""
        try:
            self._time(chunk, group, pairs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            first = group[next(iter(chunk))]
            if len(chunk) == 1:
                self.preparation.fail(first, error)
            else:
                self.preparation.note(first, error)
            return reason_of(error)
        return None

    def _time_each(self, chunk: Mapping[int, ReadyRow], group: Group, pairs: IndexPairs, reason: str) -> None:
        """One of them is at fault: alone, the others have their times, without a comparison."""
        for index, ready in chunk.items():
            if self.preparation.fault is not None:
                group[index].lose(self.preparation.fault)
            elif group[index].timing is None:
                self._timed({index: ready}, group, ())
        for baseline, row in pairs:
            if {baseline, row} <= chunk.keys() and baseline not in group[row].against:
                group[row].miss("not compared", f"timed in turn, the rows failed: {reason}")

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

    def _energy(self, ready: ReadyRow, measured: Measurement) -> None:
        """Of steps in a row of their own, for rows that take turns share what the counters show."""
        device, left, timing = self.settings.device, self.budget.left, measured.timing
        if timing is None or measured.joules_per_image is not None or self.preparation.fault is not None:
            return
        meter, seconds = EnergyMeter(device), SECONDS[device.type]
        if meter.why_not is not None:
            measured.why_no_energy = meter.why_not
        elif left is not None and left < seconds:
            measured.why_no_energy = "no time was left (--seconds)"
        else:
            arm, wait = ready.arm, undisturbed_clock(device).wait
            measured.joules_per_image = joules_per_image(arm.step, arm.images, timing.median_ms, seconds, meter, wait)
            measured.why_no_energy = meter.why_not

    def _end_to_end(self, ready: ReadyRow, measured: Measurement) -> None:
        """The same step with images from the row's data set, if it has one. Raises what keeps that from being done."""
        row, settings = measured.row, self.settings
        if row.dataset is None or measured.end_to_end is not None or measured.status != "done":
            return
        assert row.augmentation is not None
        if self.preparation.fault is not None:
            measured.miss("end to end", self.preparation.fault)
            return
        self.report(f"end to end on {row.dataset.name}")
        augmentation = row.augmentation.build(BuildContext())
        dataset = build_dataset(row.dataset, settings.download)
        steps = settings.warmup + settings.steps
        measured.end_to_end = end_to_end(ready.step, dataset, augmentation, steps, self.budget.seconds_now())
