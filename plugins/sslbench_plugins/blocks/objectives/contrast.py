"""Contrastive losses: cross-entropy of each query's positive among many keys, the matrix of logits never in memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sslbench import gathered, rank
from sslbench_plugins.blocks.objectives.numerics import full_precision, with_gradient

CHUNK_BYTES = 8 << 20
"""of logits at a time: they stay in the processor's cache"""


def contrast(
    queries: Tensor, keys: Tensor, positives: Tensor, temperature: float, itself: Tensor | None = None
) -> Tensor:
    """Mean over queries of ``-log softmax(queries @ keys.T / temperature)[positive]``.

    ``queries``: float32 ``[n, D]``; ``keys``: float32 ``[m, D]``; ``positives``: int64 ``[n]``, the row of each
    query's positive among the keys; ``itself``: int64 ``[n]``, a key left out for each query, or None.
    Exact; memory is that of the gradients and one chunk of logits. Differentiable once.
    """
    loss, to_queries, to_keys = loss_and_gradients(queries, keys, positives, temperature, itself)
    for variable, gradient in ((queries, to_queries), (keys, to_keys)):
        if gradient is not None and variable.requires_grad:
            loss = with_gradient(loss, variable, gradient)
    return loss


@torch.no_grad()
def loss_and_gradients(
    queries: Tensor, keys: Tensor, positives: Tensor, temperature: float, itself: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Loss and both gradients in one pass over chunks of queries; gradients where one is needed.

    With S = Q K^T / T and P its row-wise softmax, the gradient of the mean of ``logsumexp(S_i) - S_i,pos`` by S is
    ``G = (P - onehot) / rows``; then dQ = G K / T and dK = G^T Q / T, each chunk of G used at once and forgotten.
    """
    rows = len(queries)
    trained = queries.requires_grad or keys.requires_grad
    to_queries = torch.empty_like(queries) if trained else None
    to_keys = torch.zeros_like(keys) if trained else None
    chunk = max(16, CHUNK_BYTES // (4 * len(keys)))
    total = queries.new_zeros(())
    for start in range(0, rows, chunk):
        here = slice(start, min(start + chunk, rows))
        part = queries[here]
        logits = (part / temperature) @ keys.T
        if itself is not None:
            logits.scatter_(1, itself[here, None], float("-inf"))
        positive = positives[here, None]
        top = logits.amax(dim=1, keepdim=True)
        right = logits.gather(1, positive)
        sums = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
        total += (sums.log() + top - right).sum()
        if to_queries is None or to_keys is None:
            continue
        # softmax - onehot, by scaling the products instead of the matrix
        scale = 1 / (sums * (rows * temperature))
        to_queries[here] = (logits @ keys).mul_(scale).sub_(keys[positive[:, 0]], alpha=1 / (rows * temperature))
        to_keys.addmm_(logits.T, part * scale)
        to_keys.index_add_(0, positive[:, 0], part, alpha=-1 / (rows * temperature))
    return total / rows, to_queries, to_keys


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss (Chen et al. 2020, equation 1): mean over the 2N anchors of this rank of the cross-entropy of the
    positive among all other embeddings of all ranks: 2(N - 1) negatives on one rank.

    ``first``, ``second``: ``[N, D]``, row i of one is the positive of row i of the other; not normalised.
    Computed in float32 whatever the input, so that no temperature overflows.
    """
    pairs = len(first)
    # [2, N, D]: both views of this rank's images, then of the next rank's.
    views = torch.stack([first.float(), second.float()])
    with full_precision(views):
        embeddings = functional.normalize(views, dim=2).flatten(0, 1)
        itself = torch.arange(2 * pairs, device=first.device) + 2 * pairs * rank()
        return contrast(embeddings, gathered(embeddings), itself.roll(pairs), temperature, itself)
