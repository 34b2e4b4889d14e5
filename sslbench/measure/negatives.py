"""How many negatives an anchor has in a contrastive loss, counted from the loss itself."""

from __future__ import annotations

import math

import torch

from sslbench.contracts.method import Method, Progress


def negatives_per_anchor(method: Method, images: int, size: int) -> float:
    """Negatives beside the positive, for a method with two views whose loss is a softmax cross-entropy. All ``images``
    are the same grey square of ``size`` px, so that every similarity is the same and the loss is
    ``log(1 + negatives)``, at any temperature; in eval mode, since batch statistics of equal images would leave only
    rounding errors to compare. Raises ValueError for fewer than two images."""
    if images < 2:
        raise ValueError(f"{images} images have no negatives; at least 2 are needed")
    views = [torch.full((images, 3, size, size), 0.5)] * 2
    was_training = method.training
    method.eval()
    with torch.no_grad():
        loss, _ = method(views, masks=(), progress=Progress(0, 1, 0, 1))
    method.train(was_training)
    return math.exp(float(loss)) - 1
