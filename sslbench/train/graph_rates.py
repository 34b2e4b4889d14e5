"""Learning rates and weight decay of a captured step: read from the device, where each step is given its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

RATES = torch.float32
"""what the fused kernels read"""


class DeviceRates:
    """The numbers of an optimizer that change from step to step. Outside of ``applied`` its groups hold plain numbers,
    as a checkpoint does."""

    def __init__(self, optimizer: Optimizer, decaying: bool) -> None:
        """``decaying``: the weight decay changes as well. Torch's kernels take it as a plain number only."""
        self._optimizer, self._decaying = optimizer, decaying
        self._adam = isinstance(optimizer, AdamW)
        self.count = len(self.numbers())

    def _decayed(self) -> list[dict[str, Any]]:
        return [group for group in self._optimizer.param_groups if self._decaying and group["weight_decay"]]

    def numbers(self) -> list[float]:
        """The rates of all groups and what ``_decay`` needs, as they are set now."""
        rates = [group["lr"] for group in self._optimizer.param_groups]
        return rates + [1 - g["lr"] * g["weight_decay"] if self._adam else g["weight_decay"] for g in self._decayed()]

    @contextmanager
    def applied(self, numbers: Tensor, *, capturing: bool) -> Iterator[None]:
        """Within it the optimizer reads ``numbers``, float64 ``[count]`` on its device."""
        groups, decayed = self._optimizer.param_groups, self._decayed()
        before = [dict(group) for group in groups]
        ready = iter(numbers.to(RATES).unbind())
        for group in groups:
            group["lr"] = next(ready)
            # Torch warns of an optimizer that may be captured and is not.
            group |= {key: value for key, value in (("capturable", capturing), ("fused", True)) if key in group}
        decays = [(group["params"], next(ready)) for group in decayed]
        for group in decayed:
            group["weight_decay"] = 0.0

        def decay(*call: Any) -> None:
            for parameters, number in decays:
                self._decay(parameters, number)

        hook = self._optimizer.register_step_pre_hook(decay)
        try:
            yield
        finally:
            hook.remove()
            for group, was in zip(groups, before, strict=True):
                group.update(was)

    @torch.no_grad()
    def _decay(self, parameters: Sequence[Tensor], number: Tensor) -> None:
        """AdamW's: weights times ``1 - rate * decay``. That of SGD and LARS: ``decay * weights`` added to gradients."""
        trained = [p for p in parameters if p.grad is not None]
        if trained and self._adam:
            torch._foreach_mul_(trained, number)
        elif trained:
            gradients = [p.grad for p in trained if p.grad is not None]
            torch._foreach_add_(gradients, torch._foreach_mul(trained, number))
