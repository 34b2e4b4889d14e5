"""Optimizers by name, fused where torch has it, and LARS; schedules of their rate and weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from sslbench.contracts.params import MethodParams


class Lars(Optimizer):
    """Layer-wise adaptive rate scaling (You et al. 2017), in both conventions of its momentum.

    For a parameter w with gradient g: ``u = g + wd * w``; ``u *= eta * |w| / |u|`` unless its group says
    ``adapt=False`` or a norm is 0. With the rate inside the buffer (SimCLR's `lars_optimizer.py`):
    ``buffer = momentum * buffer + lr * u``; ``w -= buffer``. With the rate outside (BYOL, MoCo v3):
    ``buffer = momentum * buffer + u``; ``w -= lr * buffer``. They differ while the rate changes.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 1e-3,
        rate_inside: bool = True,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eta": eta, "adapt": True}
        self.rate_inside = rate_inside
        super().__init__(params, defaults)

    _step_supports_amp_scaling = True
    """The scaler of fp16 leaves ``found_inf`` here, and does not wait for the device to decide on the step."""
    found_inf: Tensor | None = None
    grad_scale: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all groups; returns the closure's loss, if one is given. Waits for no device. The rate of a
        group is a number or a scalar tensor on its device; with a ``found_inf`` of 1 nothing moves."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            trained = [p for p in group["params"] if p.grad is not None]
            if trained:
                self._step_group(group, trained)
        return loss

    def _step_group(self, group: dict[str, Any], trained: list[Tensor]) -> None:
        momentum, inside = group["momentum"], group["lr"]
        outside: float | Tensor = 1.0
        if not self.rate_inside:
            inside, outside = outside, inside
        gradients = [p.grad for p in trained if p.grad is not None]
        if self.found_inf is not None:
            keep = 1 - self.found_inf
            momentum, inside, outside = 1 - keep * (1 - momentum), inside * keep, outside * keep
            gradients = unscaled(gradients, self.grad_scale, self.found_inf)
        if group["weight_decay"]:
            updates = torch._foreach_add(gradients, trained, alpha=group["weight_decay"])
        else:
            updates = torch._foreach_mul(gradients, 1)
        if group["adapt"]:
            w, u = (torch.stack(torch._foreach_norm(tensors)) for tensors in (trained, updates))
            scale_each(updates, torch.where((w > 0) & (u > 0), group["eta"] * w / u, 1.0) * inside)
        else:
            torch._foreach_mul_(updates, inside)
        for p in trained:
            if "buffer" not in self.state[p]:
                self.state[p]["buffer"] = torch.zeros_like(p)
        buffers = [self.state[p]["buffer"] for p in trained]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, updates)
        if isinstance(outside, Tensor):
            torch._foreach_sub_(trained, torch._foreach_mul(buffers, outside))
        else:
            torch._foreach_add_(trained, buffers, alpha=-outside)


def scale_each(tensors: Sequence[Tensor], factors: Tensor) -> None:
    """Multiply each of n tensors in place by its own of the factors ``[n]`` on their device: on a GPU in a number of
    calls that does not grow with n. Each tensor fills its memory without gaps, in any order of dimensions."""
    each = list(factors.unbind())
    if factors.is_cuda:
        # From a scalar tensor for each, torch's kernels for many tensors fall back to a kernel for each; they take
        # pairs of one shape and layout.
        full = torch.cat([factor.expand(t.numel()) for factor, t in zip(each, tensors, strict=True)])
        each = laid_out(full, tensors)
    torch._foreach_mul_(list(tensors), each)


def laid_out(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """``flat`` cut into views with the shapes and strides of tensors that fill their memory without gaps."""
    parts = torch.split(flat, [t.numel() for t in like])
    return [part.as_strided(t.shape, t.stride()) for part, t in zip(parts, like, strict=True)]


def unscaled(gradients: Sequence[Tensor], scale: Tensor | None, found_inf: Tensor) -> list[Tensor]:
    """Copies of gradients divided by ``scale``, or zeros where ``found_inf`` is 1."""
    flat = torch.cat([t.as_strided((t.numel(),), (1,)) for t in gradients])
    if scale is not None:
        flat.div_(scale)
    return laid_out(flat.masked_fill_(found_inf > 0, 0), gradients)


def base_rate(params: MethodParams, batch_size: int) -> float:
    """The peak learning rate: ``lr`` scaled with the batch, or as it is where ``lr_batch`` is 0."""
    if not params.lr_batch:
        return params.lr
    if params.lr_scaling == "sqrt":
        return params.lr * math.sqrt(batch_size / params.lr_batch)
    return params.lr * batch_size / params.lr_batch


def build_optimizer(params: MethodParams, groups: list[dict[str, Any]], batch_size: int) -> Optimizer:
    """The optimizer a method asks for; each group keeps its peak rate in ``peak_lr`` for the schedule: the method's,
    times the group's ``lr_scale``."""
    lr = base_rate(params, batch_size)
    groups = [group for group in groups if group["params"]]
    if params.decay_all:
        groups = [{**group, "weight_decay": params.weight_decay} for group in groups]
    if params.optimizer != "lars":
        groups = [{key: value for key, value in group.items() if key != "adapt"} for group in groups]
    on_cuda = any(p.is_cuda for group in groups for p in group["params"])
    optimizer: Optimizer
    if params.optimizer == "adamw":
        # The fused kernel exists on CPU too and takes a third of the default's time.
        optimizer = AdamW(groups, lr=lr, betas=(params.beta1, params.beta2), fused=True)
    elif params.optimizer == "sgd":
        optimizer = SGD(groups, lr=lr, momentum=params.momentum, fused=on_cuda or None)
    else:
        optimizer = Lars(groups, lr=lr, momentum=params.momentum, rate_inside=params.lars_momentum == "inside")
    for group in optimizer.param_groups:
        group["peak_lr"] = group["lr"] = group["lr"] * group.get("lr_scale", 1.0)
    return optimizer


def set_rate(optimizer: Optimizer, factor: float) -> None:
    """Multiply every group's peak rate by the schedule's factor, unless the group says ``constant_lr: True``."""
    for group in optimizer.param_groups:
        if not group.get("constant_lr"):
            group["lr"] = group["peak_lr"] * factor


def set_weight_decay(optimizer: Optimizer, weight_decay: float) -> None:
    """Set the decay of the groups that have one."""
    for group in optimizer.param_groups:
        if group["weight_decay"]:
            group["weight_decay"] = weight_decay


def warmup_cosine(step: int, total_steps: int, warmup_steps: float, floor: float = 0.0) -> float:
    """Factor of the learning rate at ``step`` (from 0): linear warm-up, then half a cosine down to ``floor``.

    As in SimCLR's ``learning_rate_schedule`` and MAE's ``adjust_learning_rate``, but the first warm-up step takes
    ``1 / warmup_steps``, so that no step is wasted on a rate of 0.
    """
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)
    return cosine(1.0, floor, (step - warmup_steps) / max(1.0, total_steps - warmup_steps))


def cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine from ``start`` to ``end`` as ``fraction`` goes from 0 to 1 (DINO's ``cosine_scheduler``; with
    ``end`` 1 also BYOL's moving-average schedule, Grill et al. 2020, section 3.3)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
