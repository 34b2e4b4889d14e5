"""Arithmetic that autocast must leave in float32."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of ``like``: logits divided by a small temperature need float32."""
    # Autocast knows no meta device, on which arithmetic is counted.
    return torch.autocast("cuda" if like.is_cuda else "cpu", enabled=False)
