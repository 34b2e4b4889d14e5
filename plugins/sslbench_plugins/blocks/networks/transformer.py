"""Pre-norm transformer block with stochastic depth, and fixed sine-cosine positions (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench_plugins.blocks.objectives.numerics import full_precision


class TransformerBlock(nn.Module):
    """Self-attention, then an MLP, each behind a layer norm and added to its input: ``[B, N, D]`` -> ``[B, N, D]``."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not divisible by {heads} attention heads")
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, int(dim * mlp_ratio)), nn.GELU(), nn.Linear(int(dim * mlp_ratio), dim))
        self.stochastic_depth(0.0)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, N, D]`` -> ``[B, N, D]``."""
        tokens = tokens + self.skip1(self._attend(self.norm1(tokens)))
        out: Tensor = tokens + self.skip2(self.mlp(self.norm2(tokens)))
        return out

    def stochastic_depth(self, rate: float) -> None:
        """Leave each of the two branches out with probability ``rate`` while training."""
        self.skip1, self.skip2 = (skip(rate).train(self.training) for _ in range(2))

    def attention(self, tokens: Tensor, rows: slice = slice(None)) -> Tensor:
        """``[B, N, D]`` -> ``[B, heads, n, N]``, rows summing to 1: the weights with which ``forward`` mixes the
        tokens, for the n tokens that ``rows`` picks."""
        q, k, _ = self._parts(self.norm1(tokens))
        return attention_weights(q[:, :, rows], k, q.shape[-1] ** -0.5)

    def _parts(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, ``[B, heads, N, D / heads]`` each."""
        batch, count, dim = tokens.shape
        q, k, v = self.qkv(tokens).view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _attend(self, tokens: Tensor) -> Tensor:
        mixed = functional.scaled_dot_product_attention(*self._parts(tokens))
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(tokens.shape))
        return out


def last_blocks(
    layers: Iterable[Callable[[Tensor], Tensor]], norm: nn.Module, tokens: Tensor, blocks: int = 1
) -> Tensor:
    """``[B, n, D]`` through all layers -> ``[B, n, blocks * D]``: what the last ``blocks`` of them return, each after
    ``norm``, side by side (DINO's `get_intermediate_layers`). Raises ValueError for more than there are."""
    layers = list(layers)
    if not 1 <= blocks <= len(layers):
        raise ValueError(f"blocks = {blocks}; allowed: 1 to {len(layers)}, the blocks that there are")
    parts = []
    for left, layer in zip(reversed(range(len(layers))), layers, strict=True):
        tokens = layer(tokens)
        if left < blocks:
            parts.append(norm(tokens))
    return torch.cat(parts, dim=-1) if blocks > 1 else parts[0]


def attention_weights(queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """``[..., n, d]``, ``[..., N, d]`` -> float32 ``[..., n, N]``: softmax over the keys, rows summing to 1."""
    with full_precision(queries):
        return (queries.float() @ keys.float().mT * scale).softmax(dim=-1)


def init_transformer(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases, as MAE's ``_init_weights``; apply with ``model.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def sincos_positions(rows: int, cols: int, dim: int) -> Tensor:
    """Fixed 2-D positions, float32 ``[rows * cols, dim]``: half the channels encode the column, half the row, each
    as sines then cosines of frequencies from 1 to 1/10000 (MAE's ``get_2d_sincos_pos_embed``)."""
    if dim % 4:
        raise ValueError(f"sine-cosine positions need a width divisible by 4, not {dim}")
    frequency = 10000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    row, col = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(cols, dtype=torch.float64), indexing="ij"
    )
    angles = [axis.flatten()[:, None] * frequency for axis in (col, row)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1).float()


def resized(positions: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Positions ``[..., rows * cols, dim]`` of one grid, bicubically resized to another: for a crop smaller than
    the images that a transformer was made for (DINO's ``interpolate_pos_encoding``)."""
    *front, _, dim = positions.shape
    planes = positions.reshape(-1, *grid, dim).permute(0, 3, 1, 2)
    planes = functional.interpolate(planes, wanted, mode="bicubic", align_corners=False)
    return planes.permute(0, 2, 3, 1).reshape(*front, wanted[0] * wanted[1], dim)


class StochasticDepth(nn.Module):
    """A residual branch left out at random (Huang et al. 2016): ``[B, ...]`` -> the same shape. While training each
    sample is zero with probability ``rate``, drawn from torch's global generator, and else divided by ``1 - rate``."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch
        keep = 1 - self.rate
        shape = [len(branch), *[1] * (branch.ndim - 1)]
        return branch * torch.empty(shape, device=branch.device, dtype=branch.dtype).bernoulli_(keep).div_(keep)


def depth_rates(rate: float, blocks: int) -> list[float]:
    """Rates from 0 in the first block to ``rate`` in the last in equal steps, as DINO's `vision_transformer.py`."""
    return [rate * block / max(1, blocks - 1) for block in range(blocks)]


def skip(rate: float) -> nn.Module:
    """``StochasticDepth``, or the identity where ``rate`` is 0."""
    return StochasticDepth(rate) if rate else nn.Identity()
