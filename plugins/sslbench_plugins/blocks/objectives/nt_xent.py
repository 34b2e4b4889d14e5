"""NT-Xent, SimCLR's contrastive loss: normalised temperature-scaled cross-entropy (Chen et al. 2020, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sslbench_plugins.blocks.distributed.ranks import gathered, rank
from sslbench_plugins.blocks.objectives.contrast import contrast
from sslbench_plugins.blocks.objectives.full_precision import full_precision


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Mean over the 2N anchors of this rank of the cross-entropy of the positive among all other embeddings of all
    ranks: 2(N - 1) negatives on one rank.

    ``first``, ``second``: ``[N, D]``, row i of one is the positive of row i of the other; not normalised.
    Computed in float32 whatever the input, so that no temperature overflows.
    """
    pairs = len(first)
    # [2, N, D]: both views of this rank's images, then of the next rank's.
    views = torch.stack([first.float(), second.float()])
    with full_precision(views):
        embeddings = functional.normalize(views, dim=2)
        all_embeddings = gathered(embeddings.flatten(0, 1))
        itself = torch.arange(2 * pairs, device=first.device) + 2 * pairs * rank()
        positives = itself.roll(pairs)
        return contrast(embeddings.flatten(0, 1), all_embeddings, positives, temperature, itself)
