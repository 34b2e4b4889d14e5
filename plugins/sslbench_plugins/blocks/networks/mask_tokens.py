"""Mask tokens in an encoder: it gets all patches, with a learned token in the place of each masked one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sslbench import TokenBackbone


class MaskTokens(nn.Module):
    """One learned token for all masked patches; positions are the backbone's."""

    def __init__(self, backbone: TokenBackbone) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(1, 1, backbone.token_dim))
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, backbone: TokenBackbone, images: Tensor, mask: Tensor) -> Tensor:
        """``[B, 3, S, S]`` and bool ``[B, rows * cols]``, True = masked -> what the backbone encodes, of the shape of
        ``embed``: no pixel of a masked patch is in it."""
        tokens = backbone.embed(images)
        size = backbone.patch_size
        positions = backbone.positions((images.shape[2] // size, images.shape[3] // size))
        return torch.where(mask.unsqueeze(-1), (self.token + positions).to(tokens.dtype), tokens)
