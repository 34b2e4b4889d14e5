"""One training step: masks, forward, backward, optimizer, moving averages. Nothing in it waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import FunctionType, MethodType

import torch
from torch import Tensor

from sslbench.contracts.method import Method, Progress
from sslbench.measure.precision import autocast, fastest_convolutions, float32_arithmetic
from sslbench.train import batch_norm
from sslbench.train.masks import draw_masks, most_masked
from sslbench.train.optimizers import base_rate, build_optimizer, cosine, set_rate, set_weight_decay, warmup_cosine
from sslbench.train.randomness import Stream, seed_everything
from sslbench.train.ranks import average_gradients, mean_over_ranks, outside_graphs, own, own_share, ranks
from sslbench.train.task import LoopSettings, StepTask

COMPILED = count()
"""numbers of the methods that this process has compiled"""


class TrainingStep:
    """Called with views and labels; the same for a training and for a measurement of its speed."""

    def __init__(self, task: StepTask, settings: LoopSettings, batch_size: int, steps_per_epoch: int) -> None:
        self.task, self.settings, self.steps_per_epoch = task, settings, steps_per_epoch
        self.method = method = task.method
        # Convolutions follow the layout of their weights; channels last is faster on GPUs and for small images.
        method.to(settings.device).to(memory_format=torch.channels_last)
        self.mask_stream = Stream(settings.seed, "masks", settings.device)
        self.optimizer = build_optimizer(task.params, method.param_groups(task.params.weight_decay), batch_size)
        self.floor = min(1.0, task.params.lr_end / base_rate(task.params, batch_size))
        self.scaler = torch.amp.GradScaler(settings.device.type, enabled=settings.precision == "fp16")
        self.forward = compiled(method) if settings.compile else method
        self.scalars: Mapping[str, Tensor] = {}
        """what the method logged at the last step"""

    def __call__(self, views: Sequence[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """The batch's loss, detached and on the device. ``views``: normalised; ``labels``: where the method has any;
        both of this rank's share. Rates and masks are those of the whole batch."""
        self.prepare(progress)
        return self.compute(views, labels, progress)

    @property
    def update(self) -> TrainingStep:
        """Itself: there is nothing before it."""
        return self

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What it draws from beside torch's global generators."""
        return (self.mask_stream,)

    def prepare(self, progress: Progress) -> None:
        """What the host does for a step: set the rates, and seed what the step draws from."""
        self._set_rates(progress)
        self.mask_stream.at(progress.step)
        seed_everything(self.settings.seed, own("model"), progress.step)

    def compute(self, views: Sequence[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """What the device does for it, to be called after ``prepare``."""
        parts = self.settings.accumulate
        size, batch = len(views[0]) // parts, len(views[0]) * ranks()
        masks = [own_share(mask, parts) for mask in self.masks(batch)]
        self.method.most_masked = most_masked(self.method, self.task.mask_ratio, batch, size)
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        for part in range(parts):
            if parts > 1:
                rows = slice(part * size, (part + 1) * size)
                targets = None if labels is None else labels[rows]
                inputs = [view[rows] for view in views], [mask[rows] for mask in masks], targets
            else:
                inputs = list(views), masks, labels
            losses.append(self._backward(*inputs, progress))
        average_gradients(self.method.parameters())
        self.scaler.unscale_(self.optimizer)
        self.method.after_backward(progress)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.method.after_step(progress)
        # The batch's loss is the mean over its parts.
        return mean_over_ranks(losses[0] if parts == 1 else torch.stack(losses).mean())

    def _backward(self, views: list[Tensor], masks: list[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """Adds the gradients of one part of the batch to those of the others; its loss."""
        settings = self.settings
        targets = {} if labels is None else {"labels": labels}
        arithmetic = float32_arithmetic(settings.precision), fastest_convolutions(settings.device)
        with batch_norm.shared_batch_statistics(), arithmetic[0], arithmetic[1]:
            with autocast(settings.device, settings.precision):
                loss, scalars = self.forward(views, masks=masks, progress=progress, **targets)
            share = loss if settings.accumulate == 1 else loss / settings.accumulate
            self.scaler.scale(share).backward()
        self.scalars = dict(scalars)
        return loss.detach()

    def masks(self, batch: int) -> list[Tensor]:
        """What the method asks for, of a whole batch; none for a method that masks nothing."""
        return draw_masks(self.method, self.task.masking, self.task.mask_ratio, batch, self.mask_stream.generator)

    def _set_rates(self, progress: Progress) -> None:
        params = self.task.params
        if params.schedule == "epoch":
            factor = warmup_cosine(progress.epoch, progress.epochs, params.warmup_epochs, self.floor)
        else:
            warmup = params.warmup_epochs * self.steps_per_epoch
            factor = warmup_cosine(progress.step, progress.total_steps, warmup, self.floor)
        set_rate(self.optimizer, factor)
        if params.weight_decay_end is not None:
            set_weight_decay(self.optimizer, cosine(params.weight_decay, params.weight_decay_end, progress.fraction))


def compiled(method: Method) -> Callable[..., tuple[Tensor, Mapping[str, Tensor]]]:
    """``method.forward`` compiled, as a function of its own with a name of its own.

    Torch keeps at most eight compiled variants of a function, compiles what varies between them for any size, and from
    the ninth on runs it uncompiled without a word.
    """
    if ranks() > 1:
        outside_graphs()
        batch_norm.outside_graphs()
    plain = type(method).forward
    code = plain.__code__.replace(co_name=f"forward_{next(COMPILED)}")
    own = FunctionType(code, plain.__globals__, code.co_name, plain.__defaults__, plain.__closure__)
    own.__kwdefaults__ = plain.__kwdefaults__
    return torch.compile(MethodType(own, method))
