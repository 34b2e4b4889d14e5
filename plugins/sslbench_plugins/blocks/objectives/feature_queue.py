"""A queue of embeddings of past batches: MoCo's dictionary of keys, SwAV's rows that codes are shared among."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import gathered


class FeatureQueue(nn.Module):
    """A ring of ``size`` unit vectors. Keys and the index of the oldest are buffers, so a checkpoint holds them. It
    starts full of random directions, as in MoCo's code, or ``empty``: all zeros, its last row too until it is full."""

    keys: Tensor
    """float32 ``[size, D]``"""
    place: Tensor
    """int64 scalar, the row of the oldest key"""

    def __init__(self, size: int, dim: int, empty: bool = False) -> None:
        super().__init__()
        keys = torch.zeros(size, dim) if empty else functional.normalize(torch.randn(size, dim), dim=1)
        self.register_buffer("keys", keys)
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def put(self, keys: Tensor) -> None:
        """Replace the oldest entries by ``keys`` ``[B, D]`` of every rank, in the order of the ranks. The ring wraps in
        the middle of a batch, and of a batch longer than the ring the last keys stay."""
        size = len(self.keys)
        all_keys = gathered(keys.float())
        kept = all_keys[-size:]
        # The index stays on the device: the host waits for nothing.
        first = self.place + (len(all_keys) - len(kept))
        rows = (first + torch.arange(len(kept), device=kept.device)) % size
        self.keys.index_copy_(0, rows, kept)
        self.place.copy_((self.place + len(all_keys)) % size)
