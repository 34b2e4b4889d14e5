"""Whether a timed step did its work: losses are finite, parameters changed, and nothing changes afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from sslbench.errors import TimingError

PAUSE = 0.01, 0.5
"""seconds, at least and at most, in which nothing may change after the clock has stopped; between them a step's time"""

Loss = Tensor | float | None
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element -> the integers that its bits are read as."""


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

    ``before``: the groups' checksums before the timed run; ``step_ms``: how long a step took at most. A group that is
    None trains nothing.
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
