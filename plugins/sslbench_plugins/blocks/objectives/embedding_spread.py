"""How far apart the embeddings of a batch point: it shows a collapse while it happens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def embedding_spread(embeddings: Tensor) -> Tensor:
    """Root of the summed per-dimension variance of the unit embeddings ``[B, D]``: a scalar, 0 when all images get
    one vector, near 1 when they point anywhere (Chen and He 2021, section 4.1, times the root of D)."""
    directions = functional.normalize(embeddings.detach().float(), dim=1)
    return directions.var(dim=0, unbiased=False).sum().sqrt()
