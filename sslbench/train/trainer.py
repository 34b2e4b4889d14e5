"""One training loop for every method."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from sslbench.contracts.method import Progress
from sslbench.errors import Diverged, TimeLimit, UserError
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.train.checkpoint import load_tensors, restore_training, save_tensors, training_state
from sslbench.train.data import Batch, Batches
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep
from sslbench.train.task import Callbacks, LoopSettings, TrainingProgress, TrainingTask
from sslbench.train.usage import Usage
from sslbench.train.views import Normalise, TrainingViews

READ_LOSS_EVERY = 25
"""Steps between two readings of the loss: each one waits for the device."""


@dataclass(frozen=True)
class Trained:
    """What a training took and how it ended."""

    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    final_loss: float | None = None
    """mean over the last epoch"""
    scalars: dict[str, float] = field(default_factory=dict)
    """what the method logged at its last step"""
    batch_size: int = 0
    """as used: the suite's, or the whole training split where that is smaller"""
    times: StepTimes = field(default_factory=StepTimes)
    peak_memory_bytes: int | None = None
    step_ms: tuple[float, ...] = ()
    resumed_at: int | None = None
    """step at which it went on after an interruption"""
    losses: tuple[float, ...] = ()
    """mean of each epoch"""


def check_settings(task: TrainingTask, settings: LoopSettings, batch_size: int) -> None:
    """Raises UserError where the method cannot work with the batch or settings contradict each other."""
    parts, params = settings.accumulate, task.params
    if batch_size % parts:
        raise UserError(f"accumulate = {parts}: a batch of {batch_size} cannot be cut into {parts} equal parts")
    task.method.check_batch(batch_size // parts)
    end = params.weight_decay_end
    if end and not params.weight_decay:
        raise UserError(f"weight_decay_end = {end:g} needs a weight_decay above 0, where its cosine starts; given: 0")


class Trainer:
    """Trains one method, step by step, and resumes from a checkpoint after an interruption."""

    def __init__(self, task: TrainingTask, settings: LoopSettings, callbacks: Callbacks | None = None) -> None:
        """Raises what ``check_settings`` raises, and UserError where labels are needed and there are none."""
        self.task, self.settings, self.callbacks = task, settings, callbacks or Callbacks()
        self.method, self.curve = task.method, self.callbacks.curve
        data, device = task.data, settings.device
        self.batches = Batches(data.pretraining, settings.batch_size, settings.seed, device, task.labels)
        check_settings(task, settings, self.batches.batch_size)
        self.views = TrainingViews(task.augmentation, task.method.views, Normalise(data.mean, data.std, device))
        self.view_stream = Stream(settings.seed, "views", device)
        self.update = TrainingStep(task, settings, self.batches.batch_size, self.batches.steps_per_epoch)
        self.clock = StepClock(device)
        self.step = 0
        self.resumed_at: int | None = None
        self.losses: list[float] = []
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)
        """of the epoch's steps so far, on the device"""
        self.usage = Usage(device)
        self._saved = 0.0

    @property
    def total_steps(self) -> int:
        """Optimizer steps of all epochs."""
        return self.settings.epochs * self.batches.steps_per_epoch

    def run(self) -> Trained:
        """Train to the last epoch. Raises Diverged, TimeLimit and whatever the method raises."""
        self.method.train()
        self._resume()
        self.usage.start()
        self._saved = time.perf_counter()
        while self.step < self.total_steps:
            self._run_epoch(*divmod(self.step, self.batches.steps_per_epoch))
        if self.settings.device.type == "cuda":
            torch.cuda.synchronize(self.settings.device)
        self.usage.read_clock()
        return self._trained()

    def _run_epoch(self, epoch: int, start: int) -> None:
        """The steps of an epoch from ``start`` to its end."""
        if start == 0:
            self.loss_sum.zero_()
        batches = self.batches.epoch(epoch, start)
        for done in range(start + 1, self.batches.steps_per_epoch + 1):
            self._timed_step(batches, epoch)
            ended, due = done == self.batches.steps_per_epoch, self._checkpoint_due()
            if due or ended or self.step % READ_LOSS_EVERY == 0:
                self._read_loss(epoch)
            if ended:
                self._end_epoch(epoch + 1)
            if due:
                self._save()

    def _timed_step(self, batches: Iterator[Batch], epoch: int) -> None:
        self.clock.begin()
        batch = next(batches)
        self.clock.fetched()
        self._train_step(batch, Progress(self.step, self.total_steps, epoch, self.settings.epochs))
        self.clock.end()
        self.step += 1

    def _train_step(self, batch: Batch, progress: Progress) -> None:
        views = self.views(batch.images, self.view_stream.at(progress.step))
        self.loss_sum += self.update(views, batch.labels, progress)

    def _read_loss(self, epoch: int) -> None:
        """Check the epoch's mean loss and report it. Only here does the loop wait for the device."""
        seconds = self.usage.read_clock()
        self.clock.drain()
        loss = self.loss_sum.item() / (self.step - epoch * self.batches.steps_per_epoch)
        if not math.isfinite(loss):
            raise Diverged(f"the loss was {loss} within epoch {epoch + 1}, before step {self.step}")
        self._check_time(seconds)
        rate = self._images_per_second()
        self.callbacks.on_progress(
            TrainingProgress(epoch + 1, self.settings.epochs, self.step, self.total_steps, loss, rate)
        )

    def _check_time(self, seconds: float) -> None:
        limit = self.settings.time_limit
        if limit is not None and seconds > limit:
            raise TimeLimit(
                f"training took longer than {limit:g} s (time_limit), at step {self.step} of {self.total_steps}"
            )

    def _images_per_second(self) -> float:
        """Of the last steps."""
        recent = self.clock.step_ms[-READ_LOSS_EVERY:]
        return 1000 * self.batches.batch_size * len(recent) / max(1e-9, sum(recent))

    def _end_epoch(self, epoch: int) -> None:
        """Note the loss of ``epoch``, counted from 1, and add to the curve."""
        self.losses.append(self.loss_sum.item() / self.batches.steps_per_epoch)
        if self.curve is None or not self.curve.due(epoch, self.settings.epochs):
            return
        with self.usage.paused():
            self.curve.add(self.method, self.settings.device, epoch, self.losses[-1])

    def _checkpoint_due(self) -> bool:
        elapsed = time.perf_counter() - self._saved
        return elapsed >= self.settings.checkpoint_every and self.step < self.total_steps

    def _save(self) -> None:
        if self.settings.checkpoint is not None:
            try:
                save_tensors(self.settings.checkpoint, *self._state())
            except OSError as error:
                # Training is worth more than its checkpoint.
                self.callbacks.on_warning(f"no checkpoint written: {error}")
        self._saved = time.perf_counter()

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, facts = training_state(self.method, self.update.optimizer)
        tensors["loop/loss_sum"] = self.loss_sum
        tensors["loop/step_ms"] = torch.tensor(self.clock.step_ms, dtype=torch.float64)
        tensors["loop/wait_ms"] = torch.tensor(self.clock.wait_ms, dtype=torch.float64)
        facts |= {
            "step": self.step,
            "spent": self.usage.seconds,
            "scaler": self.update.scaler.state_dict(),
            "peak": self.usage.peak(),
            "losses": self.losses,
            "curve": self.curve.state() if self.curve else None,
        }
        return tensors, facts

    def _resume(self) -> None:
        path = self.settings.checkpoint
        if path is None or not path.is_file():
            return
        try:
            tensors, facts = load_tensors(path)
        except (OSError, SafetensorError) as error:
            self.callbacks.on_warning(f"checkpoint {path} cannot be read ({error}); training starts anew")
            return
        if self.curve is not None:
            state = facts.get("curve")
            if state is None or state["asked"] != self.curve.asked:
                self.callbacks.on_warning("the checkpoint is of a training without this curve; training starts anew")
                return
            self.curve.restore(state)
        self._restore(tensors, facts)

    def _restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        restore_training(self.method, self.update.optimizer, tensors, facts)
        if facts["scaler"]:
            self.update.scaler.load_state_dict(facts["scaler"])
        self.loss_sum.copy_(tensors["loop/loss_sum"])
        self.clock.step_ms = tensors["loop/step_ms"].tolist()
        self.clock.wait_ms = tensors["loop/wait_ms"].tolist()
        self.step = self.resumed_at = facts["step"]
        self.usage.continue_from(facts["spent"], facts["peak"])
        self.losses = facts["losses"]

    def _trained(self) -> Trained:
        return Trained(
            epochs=self.settings.epochs,
            steps=self.step,
            seconds=self.usage.seconds,
            final_loss=self.losses[-1] if self.losses else None,
            scalars={name: float(value) for name, value in self.update.scalars.items()},
            batch_size=self.batches.batch_size,
            times=self.clock.summary(self.batches.batch_size),
            peak_memory_bytes=self.usage.peak(),
            step_ms=tuple(self.clock.step_ms),
            resumed_at=self.resumed_at,
            losses=tuple(self.losses),
        )
