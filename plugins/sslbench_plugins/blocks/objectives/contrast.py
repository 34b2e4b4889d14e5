"""Cross-entropy of each query's positive among many keys, without a matrix of queries x keys in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 8 << 20
"""of logits at a time: they stay in the processor's cache"""


class _Contrast(torch.autograd.Function):
    """Loss and both gradients in one pass over chunks of queries.

    With S = Q K^T / T and P its row-wise softmax, the gradient of the mean of ``logsumexp(S_i) - S_i,pos`` by S is
    ``G = (P - onehot) / rows``; then dQ = G K / T and dK = G^T Q / T, each chunk of G used at once and forgotten.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, queries: Tensor, keys: Tensor, positives: Tensor, itself: Tensor | None, temperature: float
    ) -> Tensor:
        rows = len(queries)
        wanted = queries.requires_grad or keys.requires_grad
        to_queries = torch.empty_like(queries) if wanted else None
        to_keys = torch.zeros_like(keys) if wanted else None
        chunk = max(16, CHUNK_BYTES // (4 * len(keys)))
        total = queries.new_zeros(())
        for start in range(0, rows, chunk):
            here = slice(start, min(start + chunk, rows))
            part = queries[here]
            logits = (part / temperature) @ keys.T
            if itself is not None:
                logits.scatter_(1, itself[here, None], float("-inf"))
            at = positives[here, None]
            top = logits.amax(dim=1, keepdim=True)
            right = logits.gather(1, at)
            sums = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
            total += (sums.log() + top - right).sum()
            if to_queries is None or to_keys is None:
                continue
            # softmax - onehot, by scaling the products instead of the matrix
            scale = 1 / (sums * (rows * temperature))
            weighted = part * scale
            to_queries[here] = (logits @ keys).mul_(scale).sub_(keys[at[:, 0]], alpha=1 / (rows * temperature))
            to_keys.addmm_(logits.T, weighted)
            to_keys.index_add_(0, at[:, 0], part, alpha=-1 / (rows * temperature))
        ctx.save_for_backward(to_queries, to_keys)
        return total / rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        to_queries, to_keys = ctx.saved_tensors
        need_queries, need_keys = ctx.needs_input_grad[:2]
        return (
            gradient * to_queries if need_queries else None,
            gradient * to_keys if need_keys else None,
            None,
            None,
            None,
        )


def contrast(
    queries: Tensor, keys: Tensor, positives: Tensor, temperature: float, itself: Tensor | None = None
) -> Tensor:
    """Mean over queries of ``-log softmax(queries @ keys.T / temperature)[positive]``.

    ``queries``: float32 ``[n, D]``; ``keys``: float32 ``[m, D]``; ``positives``: int64 ``[n]``, the row of each
    query's positive among the keys; ``itself``: int64 ``[n]``, a key left out for each query, or None.
    Exact; memory is that of the gradients and one chunk of logits. Differentiable once.
    """
    return _Contrast.apply(queries, keys, positives, itself, temperature)
