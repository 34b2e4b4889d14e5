"""Learning-rate schedules, as plain functions of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, total_steps: int, warmup_steps: float, floor: float = 0.0) -> float:
    """Factor of the learning rate at ``step`` (from 0): linear warm-up, then half a cosine down to ``floor``.

    Per step, as in SimCLR's ``learning_rate_schedule`` and MAE's ``adjust_learning_rate``. The first warm-up
    step takes ``1 / warmup_steps``, so that no step is wasted on a rate of 0.
    """
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)
    span = max(1.0, total_steps - warmup_steps)
    done = min(1.0, (step - warmup_steps) / span)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine from ``start`` to ``end`` as ``fraction`` goes from 0 to 1 (DINO's ``cosine_scheduler``; with
    ``end`` 1 also BYOL's moving-average schedule, Grill et al. 2020, section 3.3)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
