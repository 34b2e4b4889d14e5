from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sslbench_plugins.blocks.networks.transformer import TransformerBlock, sincos_positions


def plain_positions(rows, cols, dim):
    """Vaswani et al. 2017 in two dimensions, one number at a time."""
    table = []
    for row in range(rows):
        for col in range(cols):
            entry = []
            for coordinate in (col, row):
                angles = [coordinate / 10000 ** (4 * i / dim) for i in range(dim // 4)]
                entry += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            table.append(entry)
    return torch.tensor(table)


@pytest.mark.parametrize(("rows", "cols", "dim"), [(4, 4, 16), (3, 7, 32)])
def test_positions_equal_the_plain_formula(rows, cols, dim):
    assert torch.allclose(sincos_positions(rows, cols, dim), plain_positions(rows, cols, dim), atol=1e-5)


def test_positions_need_a_width_divisible_by_four():
    with pytest.raises(ValueError, match="divisible by 4, not 6"):
        sincos_positions(2, 2, 6)


def test_a_block_is_torchs_pre_norm_encoder_layer():
    torch.manual_seed(0)
    block = TransformerBlock(16, 4).eval()
    layer = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    ours = {
        "self_attn.in_proj_weight": "qkv.weight",
        "self_attn.in_proj_bias": "qkv.bias",
        "self_attn.out_proj.weight": "proj.weight",
        "self_attn.out_proj.bias": "proj.bias",
        "linear1.weight": "mlp.0.weight",
        "linear1.bias": "mlp.0.bias",
        "linear2.weight": "mlp.2.weight",
        "linear2.bias": "mlp.2.bias",
        **{name: name for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")},
    }
    state = block.state_dict()
    layer.load_state_dict({theirs: state[name] for theirs, name in ours.items()})
    tokens = torch.randn(2, 5, 16)
    assert torch.allclose(block(tokens), layer(tokens), atol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="width 16 is not divisible by 3 attention heads"):
        TransformerBlock(16, 3)


def test_attention_is_that_of_torchs_layer_and_rows_pick_tokens():
    torch.manual_seed(0)
    block = TransformerBlock(16, 4)
    layer = nn.MultiheadAttention(16, 4, batch_first=True)
    layer.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.proj.weight,
            "out_proj.bias": block.proj.bias,
        }
    )
    tokens = torch.randn(2, 5, 16)
    normed = block.norm1(tokens)
    _, weights = layer(normed, normed, normed, average_attn_weights=False)
    assert torch.allclose(block.attention(tokens), weights, atol=1e-6)
    assert torch.allclose(block.attention(tokens, slice(1)), weights[:, :, :1], atol=1e-6)
