"""One training loop for every method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.executor import EpochEnded, TrainingProgress
from sslbench.contracts.method import Progress
from sslbench.errors import Diverged, SslbenchError, TimeLimit, UserError
from sslbench.measure.precision import float32_arithmetic
from sslbench.measure.step_clock import StepClock
from sslbench.store.digests import DamagedFile
from sslbench.store.record import TrainingFacts
from sslbench.train.checkpoint import expected_bytes, load_checkpoint, restore_training, training_state
from sslbench.train.checkpoint_writer import Checkpoints
from sslbench.train.data import Batch, Batches
from sslbench.train.epochs import ended_before, metrics_of
from sslbench.train.graph import CudaRecorder, GraphedStep
from sslbench.train.image_step import ImageStep
from sslbench.train.randomness import Stream
from sslbench.train.ranks import (
    agreed,
    alone,
    check_in_step,
    largest,
    mean_over_ranks,
    own,
    rank,
    ranks,
    take_from_first,
)
from sslbench.train.step import TrainingStep
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask
from sslbench.train.usage import Usage
from sslbench.train.views import Normalise, TrainingViews

READ_LOSS_EVERY = 25
"""Steps between two readings of the loss: each one waits for the device."""


class Trainer:
    """Trains one method, step by step, and resumes from a checkpoint after an interruption."""

    def __init__(self, task: TrainingTask, settings: LoopSettings, callbacks: Callbacks | None = None) -> None:
        """Raises UserError for missing labels, a batch that the method cannot work with, contradictory settings."""
        self.task, self.settings, self.callbacks = task, settings, callbacks or Callbacks()
        self.method, self.curve, data, device = task.method, self.callbacks.curve, task.data, settings.device
        parts = settings.accumulate
        self.batches = Batches(data.pretraining, settings.batch_size, settings.seed, device, task.labels, parts)
        self.total_steps = settings.epochs * self.batches.steps_per_epoch
        self._check_settings()
        normalise, on_warning = Normalise(data.mean, data.std, device), self.callbacks.on_warning
        self.views = TrainingViews(task.augmentation, task.method.views, normalise, settings.compile, on_warning)
        self.update = TrainingStep(task, settings, self.batches.batch_size, self.batches.steps_per_epoch)
        images = ImageStep(self.views, Stream(settings.seed, own("views"), device), self.update)
        self.take_step = GraphedStep(images, CudaRecorder(device)) if settings.cuda_graphs else images
        self.clock, self.usage = StepClock(device), Usage(device)
        self.step = 0
        self.resumed_at: int | None = None
        self.losses: list[float] = []
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)
        """of the epoch's steps so far, on the device"""
        path, size = None if rank() else settings.checkpoint, expected_bytes(self.method)
        self.checkpoints = Checkpoints(path, settings.checkpoint_every, device, size, self._warn)
        self._checked = ranks() == 1

    def _check_settings(self) -> None:
        params, parts, batch_size = self.task.params, self.settings.accumulate, self.batches.batch_size
        if batch_size % parts:
            raise UserError(f"accumulate = {parts}: a batch of {batch_size} cannot be cut into {parts} equal parts")
        if batch_size % (parts * ranks()):
            cut = f", in {parts} parts each (accumulate)" if parts > 1 else ""
            raise UserError(f"devices = {ranks()}: a batch of {batch_size} has no equal share for each{cut}")
        self.method.check_batch(batch_size // parts)
        end = params.weight_decay_end
        if end and not params.weight_decay:
            needed = "needs a weight_decay above 0, where its cosine starts; given: 0"
            raise UserError(f"weight_decay_end = {end:g} {needed}")

    @float32_arithmetic()
    def run(self) -> TrainingFacts:
        """Train to the last epoch. Raises Diverged, TimeLimit and whatever the method raises."""
        self.method.train()
        take_from_first([*self.method.parameters(), *self.method.buffers()])
        self._resume()
        (first,) = agreed(self.step)
        if self.step != first:
            raise SslbenchError(
                f"device {rank()} read another checkpoint than device 0: step {self.step}, not {first:.0f}"
            )
        self.usage.start()
        with self.checkpoints:
            while self.step < self.total_steps:
                self._run_epoch(*divmod(self.step, self.batches.steps_per_epoch))
            if self.settings.device.type == "cuda":
                torch.cuda.synchronize(self.settings.device)
            self.usage.read_clock()
        return self._facts()

    def _run_epoch(self, epoch: int, start: int) -> None:
        """The steps of an epoch from ``start`` to its end."""
        if start == 0:
            self.loss_sum.zero_()
        batches = self.batches.epoch(epoch, start)
        for done in range(start + 1, self.batches.steps_per_epoch + 1):
            self.clock.begin()
            batch = next(batches)
            self.clock.fetched()
            self._train_step(batch, Progress(self.step, self.total_steps, epoch, self.settings.epochs))
            self.clock.end()
            self.step += 1
            if not self._checked:
                self._checked = True
                check_in_step(self.method)
            ended, (due, late) = done == self.batches.steps_per_epoch, agreed(self._checkpoint_due(), self._late())
            if due or late or ended or self.step % READ_LOSS_EVERY == 0:
                self._read_loss(epoch)
            if late:
                place = f"at step {self.step} of {self.total_steps}"
                raise TimeLimit(f"training took longer than {self.settings.time_limit:g} s (time_limit), {place}")
            if ended:
                self._end_epoch(epoch + 1)
            if due:
                self._save()

    def _train_step(self, batch: Batch, progress: Progress) -> None:
        self.loss_sum += self.take_step([batch.images], batch.labels, progress)

    def _read_loss(self, epoch: int) -> None:
        """Check the epoch's mean loss and report. Only here does the loop wait for the device."""
        self.usage.read_clock()
        self.usage.joules()
        self.clock.drain()
        loss = self.loss_sum.item() / (self.step - epoch * self.batches.steps_per_epoch)
        if not math.isfinite(loss):
            raise Diverged(f"the loss was {loss} within epoch {epoch + 1}, before step {self.step}")
        rate, epochs = self._rate(READ_LOSS_EVERY), self.settings.epochs
        self.callbacks.on_progress(TrainingProgress(epoch + 1, epochs, self.step, self.total_steps, loss, rate))

    def _rate(self, steps: int) -> float:
        """Images per second of the last steps."""
        recent_ms = self.clock.step_ms[-steps:]
        return 1000 * self.batches.batch_size * len(recent_ms) / max(1e-9, sum(recent_ms))

    def _end_epoch(self, epoch: int) -> None:
        """Note the loss of ``epoch``, counted from 1, add to the curve, and report both."""
        self.losses.append(self.loss_sum.item() / self.batches.steps_per_epoch)
        point = None
        if self.curve is not None and rank() == 0 and self.curve.due(epoch, self.settings.epochs):
            # The other ranks wait in the next step.
            with self.usage.paused(), alone():
                point = self.curve.add(self.method, self.settings.device, epoch, self.losses[-1])
        self.callbacks.on_epoch(
            EpochEnded(
                epoch,
                self.settings.epochs,
                self.losses[-1],
                float(self.update.optimizer.param_groups[0]["lr"]),
                self._rate(self.batches.steps_per_epoch),
                metrics_of(point),
                {name: value if math.isfinite(value) else None for name, value in self._scalars().items()},
            )
        )

    def _scalars(self) -> dict[str, float]:
        """What the method logged at the last step."""
        logged = sorted(self.update.scalars.items())
        return {name: float(mean_over_ranks(torch.as_tensor(value).detach())) for name, value in logged}

    def _late(self) -> bool:
        limit = self.settings.time_limit
        return limit is not None and self.usage.read_clock() > limit

    def _checkpoint_due(self) -> bool:
        return self.step < self.total_steps and self.checkpoints.due()

    def _save(self) -> None:
        if self.checkpoints.path is not None:
            self.checkpoints.save(*self._state())

    def _warn(self, text: str) -> None:
        self.callbacks.on_warning(text)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, facts = training_state(self.method, self.update.optimizer)
        tensors["loop/loss_sum"] = self.loss_sum
        tensors["loop/step_ms"] = torch.tensor(self.clock.step_ms, dtype=torch.float64)
        tensors["loop/wait_ms"] = torch.tensor(self.clock.wait_ms, dtype=torch.float64)
        facts |= {
            "ranks": ranks(),
            "step": self.step,
            "spent": self.usage.seconds,
            "peak": self.usage.peak(),
            "joules": self.usage.joules(),
            "losses": self.losses,
        }
        facts |= {"scaler": self.update.scaler.state_dict(), "curve": self.curve.state() if self.curve else None}
        return tensors, facts

    def _resume(self) -> None:
        path = self.settings.checkpoint
        if path is None or not path.is_file():
            return
        try:
            self._restore(*load_checkpoint(path, self.method, self.total_steps, self.curve))
        except (OSError, DamagedFile) as error:
            self._warn(f"{error}; training starts anew")

    def _restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        if self.curve is not None:
            self.curve.restore(facts["curve"])
        restore_training(self.method, self.update.optimizer, tensors, facts)
        if facts["scaler"]:
            self.update.scaler.load_state_dict(facts["scaler"])
        self.loss_sum.copy_(tensors["loop/loss_sum"])
        self.clock.step_ms = tensors["loop/step_ms"].tolist()
        self.clock.wait_ms = tensors["loop/wait_ms"].tolist()
        self.step = self.resumed_at = facts["step"]
        self.usage = Usage(self.settings.device, facts["spent"], facts["peak"], facts["joules"])
        self.losses = facts["losses"]
        for epoch in ended_before(self.losses, self.curve.points if self.curve else None, self.settings.epochs):
            self.callbacks.on_epoch(epoch)

    def _facts(self) -> TrainingFacts:
        curve = self.curve
        joules, images = self.usage.joules(), self.step * self.batches.batch_size
        return TrainingFacts(
            epochs=self.settings.epochs,
            steps=self.step,
            seconds=self.usage.seconds,
            **asdict(self.clock.summary(self.batches.batch_size)),
            peak_memory_bytes=largest(self.usage.peak()),
            joules_per_image=joules / images if joules is not None and images else None,
            why_no_energy=self.usage.why_no_energy,
            final_loss=self.losses[-1] if self.losses else None,
            losses=tuple(self.losses),
            batch_size=self.batches.batch_size,
            scalars=self._scalars(),
            resumed_at=self.resumed_at,
            input=self.task.data.training_input,
            curve=tuple(curve.points) if curve else None,
            curve_seconds=curve.seconds if curve else None,
            curve_asked=curve.asked if curve else None,
        )
