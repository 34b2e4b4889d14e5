"""How much what a timm transformer pools attends to each patch: its class token, or the query of an attention pool."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sslbench_plugins.blocks.networks.transformer import attention_weights


def gives_attention(net: Any) -> bool:
    """Whether a timm network pools by one query's attention, or has a class token and a plain last block."""
    from timm.layers import Attention, AttentionRope  # type: ignore[attr-defined]
    from timm.models.eva import EvaAttention, EvaBlock, EvaBlockPostNorm
    from timm.models.vision_transformer import Block

    if net.attn_pool is not None:
        return has_query(net)
    last = net.blocks[-1]
    plain = type(last) in (Block, EvaBlock, EvaBlockPostNorm)
    return net.cls_token is not None and plain and type(last.attn) in (Attention, EvaAttention, AttentionRope)


def has_query(net: Any) -> bool:
    """Whether features are gathered by the attention of a single learned query."""
    from timm.layers import AttentionPoolLatent  # type: ignore[attr-defined]

    return type(net.attn_pool) is AttentionPoolLatent and net.attn_pool.latent_len == 1


def of_query(net: Any, encoded: Tensor) -> Tensor:
    """``[B, prefix + N, D]``, after the final norm -> float32 ``[B, heads, N]``: the query's attention to the patches,
    after the softmax over all tokens that the pool is given."""
    pool, prefix = net.attn_pool, net.num_prefix_tokens
    if not getattr(net, "pool_include_prefix", True):
        encoded, prefix = encoded[:, prefix:], 0
    if pool.pos_embed is not None:
        encoded = encoded + pool.pos_embed
    queries = heads_of(pool, pool.q(pool.latent)).expand(len(encoded), -1, -1, -1)
    keys = heads_of(pool, pool.kv(encoded).chunk(2, dim=-1)[0])
    return attention_weights(pool.q_norm(queries), pool.k_norm(keys), pool.scale)[:, :, 0, prefix:]


def of_class_token(block: Any, tokens: Tensor, rotation: Tensor | None, prefix: int) -> Tensor:
    """``[B, prefix + N, D]``, the input of a block -> float32 ``[B, heads, N]``: its first token's attention to the
    patches, after the softmax over all tokens. ``rotation``: of the block, as of ``Rotations``."""
    from timm.models.eva import EvaBlockPostNorm

    part = block.attn
    tokens = tokens if type(block) is EvaBlockPostNorm else block.norm1(tokens)
    if part.qkv is None:
        queries, keys = part.q_proj(tokens), part.k_proj(tokens)
    else:
        queries, keys, _ = functional.linear(tokens, part.qkv.weight, bias_of(part)).chunk(3, dim=-1)
    queries, keys = part.q_norm(heads_of(part, queries)), part.k_norm(heads_of(part, keys))
    if rotation is not None:
        queries, keys = (rotated(part, of_tokens, rotation, prefix) for of_tokens in (queries, keys))
    # Several heads of queries may share one of keys.
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    return attention_weights(queries[:, :, :1], keys, part.scale)[:, :, 0, prefix:]


def heads_of(part: Any, tokens: Tensor) -> Tensor:
    """``[B, N, heads * d]`` -> ``[B, heads, N, d]``."""
    return tokens.reshape(*tokens.shape[:2], -1, part.head_dim).transpose(1, 2)


def bias_of(part: Any) -> Tensor | None:
    """Of queries, keys and values together; EVA keeps those of keys at zero."""
    if getattr(part, "q_bias", None) is not None:
        return torch.cat([part.q_bias, part.k_bias, part.v_bias])
    bias: Tensor | None = part.qkv.bias
    return bias


def rotated(part: Any, of_tokens: Tensor, rotation: Tensor, prefix: int) -> Tensor:
    """``[B, heads, prefix + N, d]`` with the patches turned by their positions, as timm's attention does."""
    from timm.layers import apply_rot_embed_cat  # type: ignore[attr-defined]

    turned = apply_rot_embed_cat(of_tokens[:, :, prefix:], rotation, half=getattr(part, "rotate_half", False))
    return torch.cat([of_tokens[:, :, :prefix], turned], dim=2).type_as(of_tokens)
