"""DINO's projection head: a few layers to a bottleneck of unit length, then prototypes (Caron et al. 2021, section 3.1;
iBOT and DINOv2 have the same)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PrototypeHead(nn.Module):
    """Prototypes are unit rows: what a weight-normed last layer without bias is with its gain fixed at 1. ``gains``:
    each prototype has a gain that is trained, 1 at the start (`norm_last_layer=False` of DINO and iBOT; DINOv2)."""

    def __init__(
        self,
        dim: int,
        prototypes: int,
        *,
        layers: int = 3,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        norm: bool = False,
        gains: bool = False,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(layers - 1):
            parts += [nn.Linear(dim, hidden_dim), *([nn.BatchNorm1d(hidden_dim)] if norm else []), nn.GELU()]
            dim = hidden_dim
        self.mlp = nn.Sequential(*parts, nn.Linear(dim, bottleneck_dim))
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck_dim))
        self.gains = nn.Parameter(torch.ones(prototypes, 1)) if gains else None
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        nn.init.kaiming_uniform_(self.prototypes, a=5**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """``[..., D]`` -> cosines with the prototypes, times their gains: ``[..., prototypes]``. A batch norm takes
        ``[B, D]`` only."""
        return self.compare(self.embed(features))

    def embed(self, features: Tensor) -> Tensor:
        """``[..., D]`` -> the bottleneck, of unit length: ``[..., bottleneck_dim]``."""
        return functional.normalize(self.mlp(features), dim=-1)

    def compare(self, embedding: Tensor) -> Tensor:
        """``[..., bottleneck_dim]`` -> ``[..., prototypes]``. Linear: the mean of embeddings gives the mean output."""
        rows = functional.normalize(self.prototypes, dim=1)
        return functional.linear(embedding, rows if self.gains is None else rows * self.gains)

    def freeze_prototypes(self) -> None:
        """Drop their gradients: with zeros, weight decay and momentum would still move them."""
        self.prototypes.grad = None
        if self.gains is not None:
            self.gains.grad = None
