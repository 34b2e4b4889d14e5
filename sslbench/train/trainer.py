"""One training loop for every method."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError

from sslbench.contracts.method import Progress
from sslbench.errors import Diverged, TimeLimit, UserError
from sslbench.measure.memory import PeakMemory
from sslbench.measure.step_clock import StepClock, StepTimes
from sslbench.train.checkpoint import load_tensors, restore_training, save_tensors, training_state
from sslbench.train.data import Batch, Batches
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep
from sslbench.train.task import Callbacks, LoopSettings, TrainingProgress, TrainingTask
from sslbench.train.views import Normalise, TrainingViews

READ_LOSS_EVERY = 25
"""Steps between two looks at the loss: each look waits for the device."""


@dataclass(frozen=True)
class Trained:
    """What a pretraining took."""

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


class Trainer:
    """Trains one method, step by step, and can go on where it was killed."""

    def __init__(self, task: TrainingTask, settings: LoopSettings, callbacks: Callbacks | None = None) -> None:
        """Raises UserError where the method cannot work with the batch or its settings contradict each other."""
        self.task, self.settings, self.callbacks = task, settings, callbacks or Callbacks()
        self.method, self.curve = task.method, self.callbacks.curve
        data, device = task.data, settings.device
        self.batches = Batches(data.pretraining, settings.batch_size, settings.seed, device, task.labels)
        self._check()
        self.views = TrainingViews(task.augmentation, task.method.views, Normalise(data.mean, data.std, device))
        self.view_stream = Stream(settings.seed, "views", device)
        self.update = TrainingStep(task, settings, self.batches.batch_size, self.batches.steps_per_epoch)
        self.clock = StepClock(device)
        self.step, self.spent = 0, 0.0
        self.resumed_at: int | None = None
        self.peak_before = 0
        self.losses: list[float] = []
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)

    @property
    def total_steps(self) -> int:
        return self.settings.epochs * self.batches.steps_per_epoch

    def _check(self) -> None:
        """What cannot work is said before the first step."""
        size, parts = self.batches.batch_size, self.settings.accumulate
        if size % parts:
            raise UserError(f"accumulate = {parts}: a batch of {size} cannot be cut into {parts} equal parts")
        self.method.check_batch(size // parts)
        end = self.task.params.weight_decay_end
        if end and not self.task.params.weight_decay:
            raise UserError(
                f"weight_decay_end = {end:g} needs a weight_decay above 0, where its cosine starts; given: 0"
            )

    def run(self) -> Trained:
        """Train to the last epoch. Raises Diverged or TimeLimit; whatever else the method raises goes through."""
        self.method.train()
        self._resume()
        self.memory = PeakMemory(self.settings.device)
        began = saved = time.perf_counter()
        before = self.spent
        per_epoch = self.batches.steps_per_epoch
        while self.step < self.total_steps:
            epoch, start = divmod(self.step, per_epoch)
            if start == 0:
                self.loss_sum.zero_()
            batches = self.batches.epoch(epoch, start)
            for _ in range(start, per_epoch):
                self.clock.begin()
                batch = next(batches)
                self.clock.fetched()
                self._train_step(batch, Progress(self.step, self.total_steps, epoch, self.settings.epochs))
                self.clock.end()
                self.step += 1
                now = time.perf_counter()
                due = now - saved >= self.settings.checkpoint_every and self.step < self.total_steps
                if due or self.step % READ_LOSS_EVERY == 0 or self.step % per_epoch == 0:
                    self.spent = before + now - began
                    self._look(epoch)
                if self.step % per_epoch == 0:
                    began += self._end_epoch(epoch + 1)
                if due:
                    self._save()
                    saved = time.perf_counter()
        if self.settings.device.type == "cuda":
            torch.cuda.synchronize(self.settings.device)
        self.spent = before + time.perf_counter() - began
        return self._trained()

    def _end_epoch(self, epoch: int) -> float:
        """Note the epoch's loss and add to the curve. Answers the seconds that the curve took.

        Neither its time nor its memory is the training's.
        """
        self.losses.append(self.loss_sum.item() / self.batches.steps_per_epoch)
        if self.curve is None or not self.curve.due(epoch, self.settings.epochs):
            return 0.0
        self.peak_before = self._peak() or 0
        took = self.curve.add(self.method, self.settings.device, epoch, self.losses[-1])
        self.memory = PeakMemory(self.settings.device)
        return took

    def _train_step(self, batch: Batch, progress: Progress) -> None:
        views = self.views(batch.images, self.view_stream.at(progress.step))
        self.loss_sum += self.update(views, batch.labels, progress)

    def _look(self, epoch: int) -> None:
        """Read the loss back: the only place where the loop waits for the device."""
        self.clock.drain()
        done = self.step - epoch * self.batches.steps_per_epoch
        loss = self.loss_sum.item() / done
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise Diverged(f"the loss was {loss} within epoch {epoch + 1}, before step {self.step}")
        limit = self.settings.time_limit
        if limit is not None and self.spent > limit:
            raise TimeLimit(
                f"training took longer than {limit:g} s (time_limit), at step {self.step} of {self.total_steps}"
            )
        recent = self.clock.step_ms[-READ_LOSS_EVERY:]
        rate = 1000 * self.batches.batch_size * len(recent) / max(1e-9, sum(recent))
        self.callbacks.on_progress(
            TrainingProgress(epoch + 1, self.settings.epochs, self.step, self.total_steps, loss, rate)
        )

    def _save(self) -> None:
        if self.settings.checkpoint is None:
            return
        tensors, facts = training_state(self.method, self.update.optimizer)
        tensors["loop/loss_sum"] = self.loss_sum
        tensors["loop/step_ms"] = torch.tensor(self.clock.step_ms, dtype=torch.float64)
        tensors["loop/wait_ms"] = torch.tensor(self.clock.wait_ms, dtype=torch.float64)
        facts |= {
            "step": self.step,
            "spent": self.spent,
            "scaler": self.update.scaler.state_dict(),
            "peak": self._peak(),
            "losses": self.losses,
            "curve": self.curve.state() if self.curve else None,
        }
        try:
            save_tensors(self.settings.checkpoint, tensors, facts)
        except OSError as error:
            # Training is worth more than its checkpoint.
            self.callbacks.on_warning(f"no checkpoint written: {error}")

    def _resume(self) -> None:
        if self.settings.checkpoint is None or not self.settings.checkpoint.is_file():
            return
        try:
            tensors, facts = load_tensors(self.settings.checkpoint)
        except (OSError, SafetensorError) as error:
            self.callbacks.on_warning(
                f"checkpoint {self.settings.checkpoint} cannot be read ({error}); training starts anew"
            )
            return
        if self.curve is not None:
            known = facts.get("curve")
            if known is None or known["asked"] != self.curve.asked:
                self.callbacks.on_warning("the checkpoint is of a training without this curve; training starts anew")
                return
            self.curve.restore(known)
        restore_training(self.method, self.update.optimizer, tensors, facts)
        if facts["scaler"]:
            self.update.scaler.load_state_dict(facts["scaler"])
        self.loss_sum.copy_(tensors["loop/loss_sum"])
        self.clock.step_ms = tensors["loop/step_ms"].tolist()
        self.clock.wait_ms = tensors["loop/wait_ms"].tolist()
        self.step = self.resumed_at = facts["step"]
        self.spent, self.peak_before = facts["spent"], facts["peak"] or 0
        self.losses = facts["losses"]

    def _peak(self) -> int | None:
        now = self.memory.bytes()
        return None if now is None else max(now, self.peak_before)

    def _trained(self) -> Trained:
        final: dict[str, Any] = {name: float(value) for name, value in self.update.scalars.items()}
        return Trained(
            epochs=self.settings.epochs,
            steps=self.step,
            seconds=self.spent,
            final_loss=self.losses[-1] if self.losses else None,
            scalars=final,
            batch_size=self.batches.batch_size,
            times=self.clock.summary(self.batches.batch_size),
            peak_memory_bytes=self._peak(),
            step_ms=tuple(self.clock.step_ms),
            resumed_at=self.resumed_at,
            losses=tuple(self.losses),
        )
