"""KoLeo: features spread over the sphere by the distance to the nearest neighbour in the batch (Kozachenko and
Leonenko's estimator of entropy; Sablayrolles et al. 2019; DINOv2, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import gathered, rank
from sslbench_plugins.blocks.objectives.numerics import at_least_float32, full_precision

EPSILON = 1e-8


def koleo(features: Tensor) -> Tensor:
    """Mean over the rows of this rank of ``-log(distance to the nearest other row of all ranks)``, rows scaled to unit
    length: ``[B, D]`` -> a scalar, in float32 or more. Two rows are needed."""
    with full_precision(features):
        own = functional.normalize(at_least_float32(features), dim=1, eps=EPSILON)
        everyone = gathered(own)
        with torch.no_grad():
            itself = torch.arange(len(own), device=own.device) + len(own) * rank()
            products = (own @ everyone.T).scatter_(1, itself[:, None], -2.0)
            nearest = products.argmax(dim=1)
        # An epsilon in the distance too: without it the gradient of equal rows is not a number.
        distances = functional.pairwise_distance(own, everyone[nearest], eps=EPSILON)
        return -(distances + EPSILON).log().mean()
