"""How long a step takes: the protocol behind every speed that sslbench reports.

Warm-up until the times are steady, at least ten steps. Then steps without a pause: on CUDA one event after each, and
events and wall clock must agree; on a CPU the wall clock with the process's CPU time beside it. In the timed run the
loss must be finite and the parameters must change, and nothing may change any more once the clock has stopped.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench.errors import TimingError
from sslbench.measure.clocks import Clock, Laps, clock_for, contended
from sslbench.measure.memory import PeakMemory

WARMUP_STEPS, MOST_WARMUP_STEPS = 10, 60
STEADY_WINDOW, STEADY = 5, 0.1
"""steady: the median of the last 5 steps is within 10% of that of the 5 before"""
TIMED_STEPS, LEAST_TIMED_STEPS = 50, 10
LAUNCH_BOUND = 0.9
"""share of a step that the host takes until its call returns, from which on the device waits for launches"""
PAUSE = 0.01, 0.5
"""seconds, at least and at most, in which nothing may change after the clock has stopped; between them a step's time"""

Loss = Tensor | float | None
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element -> the integers that its bits are read as."""


@dataclass(frozen=True)
class Arm:
    """A step to be timed, alone or against others."""

    step: Callable[[], Loss]
    """a call is a step. A training step returns its loss, on the device: reading it back would wait"""
    images: int
    """source images of a step; 1 where only calls are counted"""
    parameters: Sequence[Tensor] | None
    """what a training step must change; None for work that trains nothing, whose results nobody checks"""
    compiled: bool = False
    """whether the first call compiles"""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    unlike: int = 1
    """the first calls, which do other work than those after them"""


@dataclass(frozen=True)
class WarmUp:
    """The steps before the clock counts."""

    steps: int
    steady: bool
    first_step_ms: float
    compile_ms: float | None
    step_ms: float
    """median of the last ones"""
    peak_allocated_bytes: int | None
    peak_reserved_bytes: int | None
    host_ms: float | None = None
    """of ``step_ms`` until the step's call returned, with nothing to do for the device before; None where that is when
    its work is done"""


@dataclass(frozen=True)
class Timing:
    """What a step costs. Times are milliseconds of wall clock (CPU) or of the device's clock (CUDA)."""

    images: int
    step_ms: tuple[float, ...]
    warm_up: WarmUp
    wall_ms: float
    cpu_ms: float | None
    """median CPU time of the process a step, all threads together; None on CUDA"""
    contended: bool | None
    """whether other programs took cores from it; None on CUDA"""
    final_loss: float | None

    @property
    def median_ms(self) -> float:
        """Of the timed steps."""
        return statistics.median(self.step_ms)

    @property
    def iqr_ms(self) -> float:
        """Interquartile range of the timed steps."""
        low, high = np.percentile(self.step_ms, [25, 75])
        return float(high - low)

    @property
    def images_per_second(self) -> float:
        """Source images in the time of the median step."""
        return 1000 * self.images / self.median_ms

    @property
    def launch_bound(self) -> bool | None:
        """Whether launching the step takes the host about as long as the device needs for it, which then waits for
        launches; None where the host does the work itself."""
        host = self.warm_up.host_ms
        return None if host is None else host >= LAUNCH_BOUND * max(self.median_ms, self.warm_up.step_ms)

    def described(self) -> dict[str, Any]:
        """JSON-able, without the raw samples."""
        own = ("median_ms", "iqr_ms", "images_per_second", "cpu_ms", "contended", "final_loss", "launch_bound")
        before = ("host_ms", "steady", "first_step_ms", "compile_ms", "peak_allocated_bytes", "peak_reserved_bytes")
        return {
            **{name: getattr(self, name) for name in own},
            **{f"p{percent}_ms": float(np.percentile(self.step_ms, percent)) for percent in (20, 80)},
            "steps": len(self.step_ms),
            "warmup_steps": self.warm_up.steps,
            **{name: getattr(self.warm_up, name) for name in before},
        }


def measure_steps(
    step: Callable[[], Loss],
    *,
    device: torch.device | str,
    images: int,
    parameters: Sequence[Tensor] | None,
    compiled: bool = False,
    steps: int = TIMED_STEPS,
    seconds: float | None = None,
    warmup: int = WARMUP_STEPS,
    clock: Clock | None = None,
) -> Timing:
    """Time one step function.

    ``step``, ``images``, ``parameters``, ``compiled``: see ``Arm``. ``steps`` are timed, or as many (at least 10) as
    fit into ``seconds``. ``clock`` is for tests. Raises TimingError where the clocks disagree, a loss is not finite,
    no parameter changed, or parameters still change after the clock has stopped.
    """
    arm = Arm(step, images, parameters, compiled, torch.device(device))
    clock = clock or clock_for(arm.device)
    warm = warm_up(arm, clock, warmup, seconds)
    count = count_within(seconds, warm.step_ms, LEAST_TIMED_STEPS, steps)
    (timing,) = time_in_order([arm], [warm], [0] * count, clock)
    return timing


def count_within(seconds: float | None, each_ms: float, least: int, most: int) -> int:
    """How many steps or rounds fit into a budget: at least ``least``, at most ``most``, which counts for more."""
    return most if seconds is None else min(most, max(least, int(1000 * seconds / max(each_ms, 1e-6))))


def warm_up(arm: Arm, clock: Clock, least: int = WARMUP_STEPS, seconds: float | None = None) -> WarmUp:
    """Run until steady: at least ``least`` steps, at most 60 or, once ``least`` are done, ``seconds``."""
    memory = PeakMemory(arm.device)
    taken: list[float] = []
    returned: list[float] = []
    began = clock.now_ms()
    over = False
    while len(taken) < max(least, arm.unlike + 1) or not (over or is_steady(taken)):
        before = clock.now_ms()
        arm.step()
        returned.append(clock.now_ms() - before)
        clock.wait()
        taken.append(clock.now_ms() - before)
        spent = seconds is not None and clock.now_ms() - began > 1000 * seconds
        over = spent or len(taken) >= MOST_WARMUP_STEPS
    return WarmUp(
        steps=len(taken),
        steady=is_steady(taken),
        first_step_ms=taken[0],
        compile_ms=max(0.0, taken[0] - taken[1]) if arm.compiled else None,
        step_ms=statistics.median(taken[-STEADY_WINDOW:]),
        peak_allocated_bytes=memory.bytes(),
        peak_reserved_bytes=memory.reserved_bytes(),
        host_ms=statistics.median(returned[-STEADY_WINDOW:]) if clock.asynchronous else None,
    )


def is_steady(step_ms: Sequence[float]) -> bool:
    """Whether the median of the last 5 steps is within 10% of that of the 5 before."""
    if len(step_ms) < 2 * STEADY_WINDOW:
        return False
    last = statistics.median(step_ms[-STEADY_WINDOW:])
    before = statistics.median(step_ms[-2 * STEADY_WINDOW : -STEADY_WINDOW])
    return abs(last - before) <= STEADY * before


def time_in_order(
    arms: Sequence[Arm],
    warm: Sequence[WarmUp],
    order: Sequence[int],
    clock: Clock,
    counts: Sequence[bool] | None = None,
) -> tuple[Timing, ...]:
    """Step the arms in an order (indices of ``arms``), with one clock over all. A timing for each arm.

    ``counts``: which steps of the order are samples; all by default. Raises TimingError as ``measure_steps`` does.
    """
    before = [checksum(arm.parameters) for arm in arms]
    laps, losses = run_laps([arms[index] for index in order], clock)
    check_changes([arm.parameters for arm in arms], before, max(laps.step_ms))
    busy = contended(laps, torch.get_num_threads())
    timings = []
    for index, arm in enumerate(arms):
        own = [lap for lap, stepped in enumerate(order) if stepped == index]
        final = check_losses([losses[lap] for lap in own]) if arm.parameters is not None else None
        counted = [lap for lap in own if counts is None or counts[lap]]
        cpu = [laps.cpu_ms[lap] for lap in counted] if laps.cpu_ms else []
        timings.append(
            Timing(
                images=arm.images,
                step_ms=tuple(laps.step_ms[lap] for lap in counted),
                warm_up=warm[index],
                wall_ms=laps.wall_ms,
                cpu_ms=statistics.median(cpu) if cpu else None,
                contended=busy,
                final_loss=final,
            )
        )
    return tuple(timings)


def run_laps(order: Sequence[Arm], clock: Clock) -> tuple[Laps, list[Loss]]:
    """The timed run itself: the steps and the clock's marks, and a wait where another arm's turn begins. Without the
    wait, what a slow device has still to do would hide how long the next arm takes to launch its own work."""
    losses: list[Loss] = []
    before = order[0]
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        clock.start()
        for arm in order:
            if arm is not before:
                clock.wait()
                before = arm
            loss = arm.step()
            losses.append(loss.detach() if isinstance(loss, Tensor) else loss)
            clock.mark()
        return clock.stop(), losses
    finally:
        if collecting:
            gc.enable()


def check_losses(losses: Sequence[Loss]) -> float:
    """The last of a training's losses. Raises TimingError where a step returned none, or a loss that is not finite."""
    if any(loss is None for loss in losses):
        raise TimingError(
            "timing: the step returned no loss; a training step returns its loss"
            " (parameters=None: work that trains nothing)"
        )
    values = [float(loss) for loss in losses if loss is not None]
    for number, value in enumerate(values):
        if not math.isfinite(value):
            raise TimingError(f"timing: the loss of timed step {number + 1} of {len(values)} was {value}")
    return values[-1]


def check_changes(groups: Sequence[Sequence[Tensor] | None], before: Sequence[tuple[int, ...]], step_ms: float) -> None:
    """Raise TimingError where all parameters of a group are as they were, or something goes on changing them.

    ``before``: checksums before the timed run; ``step_ms``: of a step at most. A group that is None trains nothing.
    """
    after = [checksum(group) for group in groups]
    for group, old, new in zip(groups, before, after, strict=True):
        if group is not None and old == new:
            raise TimingError(
                f"timing: none of {len(new)} parameter tensors changed in the timed run: the step trains nothing,"
                " or does so after the clock has stopped"
            )
    if all(group is None for group in groups):
        return
    time.sleep(min(max(PAUSE[0], step_ms / 1000), PAUSE[1]))
    if [checksum(group) for group in groups] != after:
        raise TimingError(
            "timing: parameters went on changing after the clock had stopped: a step returns before its work is done"
        )


def checksum(parameters: Sequence[Tensor] | None) -> tuple[int, ...]:
    """An integer for each tensor, from its bits: the smallest change shows. Waits for the device."""
    if not parameters:
        return ()
    with torch.no_grad():
        sums = [p.detach().view(BITS[p.element_size()]).sum(dtype=torch.int64) for p in parameters]
        return tuple(torch.stack([total.cpu() for total in sums]).tolist())
