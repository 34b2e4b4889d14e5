"""NT-Xent, the normalised temperature-scaled cross-entropy of SimCLR (Chen et al. 2020, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Mean over all 2N anchors of the cross-entropy of the positive among the 2N - 1 other embeddings.

    ``first``, ``second``: ``[N, D]``, row i of one is the positive of row i of the other; not normalised.
    Computed in float32 whatever the input, so that no temperature overflows.
    """
    pairs = len(first)
    embeddings = functional.normalize(torch.cat([first, second]).float(), dim=1)
    # Autocast knows no meta device, on which arithmetic is counted.
    with torch.autocast("cuda" if embeddings.is_cuda else "cpu", enabled=False):
        logits = embeddings @ embeddings.T / temperature
        logits.fill_diagonal_(float("-inf"))
        positives = torch.arange(2 * pairs, device=logits.device).roll(pairs)
        return functional.cross_entropy(logits, positives)
