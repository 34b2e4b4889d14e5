"""Images as an encoder is given them, made visible again."""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import EvaluatedModel
from sslbench_plugins.blocks.probes.samples import evenly_spaced

IMAGES = 5
"""that a picture shows, at most"""


def shown_rows(count: int) -> Tensor:
    """int64 ``[n]``: which of ``count`` test images a picture shows."""
    return evenly_spaced(count, IMAGES)


def unnormalised(model: EvaluatedModel, images: Tensor) -> Tensor:
    """Normalised float ``[B, 3, S, S]`` -> the values in 0..1 that they were made of; beyond it where they are."""
    black, white = (model.normalise(torch.full_like(images[:1], level)) for level in (0.0, 1.0))
    return (images - black) / (white - black)


def visible(model: EvaluatedModel, images: Tensor) -> Tensor:
    """Normalised float ``[B, 3, S, S]`` -> uint8 on the CPU; what is no number is black."""
    values = unnormalised(model, images.float()).nan_to_num(0.0).clamp(0, 1)
    return (values * 255).round().to(torch.uint8).cpu()
