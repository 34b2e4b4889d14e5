"""Arithmetic of one training step, counted without doing it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from sslbench.hooks.contracts import Progress, hidden_count

if TYPE_CHECKING:
    from sslbench.train.models import Method


def step_flops_per_image(
    method: Method, batch_size: int, mask_ratio: float | None, labels: bool = False
) -> float | None:
    """Floating-point operations per source image of forward and backward, a multiply-add counted as two.

    Matrix products, convolutions and attention only, as torch's ``FlopCounterMode`` knows them; views, norms,
    optimizer and moving averages are not in it. Counted on a copy on the meta device, so it takes neither memory
    nor arithmetic; None where a method cannot run there.
    """
    state = torch.random.get_rng_state()
    try:
        shadow = copy.deepcopy(method).to("meta").train()
        views = [torch.empty(batch_size, 3, v.size, v.size, device="meta") for v in shadow.views]
        mask = None
        if shadow.mask_grid is not None and mask_ratio is not None:
            patches = shadow.mask_grid[0] * shadow.mask_grid[1]
            hidden_count(patches, mask_ratio)
            mask = torch.empty(batch_size, patches, dtype=torch.bool, device="meta")
        given = {"labels": torch.empty(batch_size, dtype=torch.int64, device="meta")} if labels else {}
        counter = FlopCounterMode(display=False)
        with counter:
            loss, _ = shadow(views, mask=mask, progress=Progress(0, 1, 0, 1), **given)
            loss.backward()
        return counter.get_total_flops() / batch_size
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    finally:
        torch.random.set_rng_state(state)
