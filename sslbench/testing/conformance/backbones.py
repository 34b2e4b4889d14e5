"""Backbones: shapes of features, tokens and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.backbone import Backbone, BackboneSpec, TokenBackbone
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.problem import Problems

SIDE = 32
"""side of the images that backbones are tried on, pixels"""


def of_backbone(spec: Spec, params: Any) -> Problems:
    """Features of three images, and tokens and attention where the spec promises them."""
    assert isinstance(spec, BackboneSpec)
    backbone = spec.build(params, BuildContext(image_size=SIDE))
    if not isinstance(backbone, Backbone):
        yield "build must return a sslbench.Backbone"
        return
    backbone.eval()
    images = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone(images)
        if features.shape != (3, backbone.feature_dim):
            yield f"features {list(features.shape)}, not [3, feature_dim = {backbone.feature_dim}]"
        elif not torch.allclose(features[:1], backbone(images[:1]), atol=1e-4):
            yield "in eval mode the features of an image depend on the rest of the batch"
        if "tokens" in spec.provided(params):
            yield from token_problems(backbone, images)
        if "attention" in spec.provided(params):
            yield from attention_problems(backbone, images)


def token_problems(backbone: Backbone, images: Tensor) -> Problems:
    """Tokens of all patches and of some."""
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides tokens but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    tokens = backbone.embed(images)
    if tokens.shape != (3, patches, backbone.token_dim):
        yield f"embed returned {list(tokens.shape)}, not [3, {patches}, {backbone.token_dim}]"
        return
    for kept in (patches, 1, patches // 2):
        encoded = backbone.encode(tokens[:, :kept])
        if encoded.shape != (3, backbone.prefix_tokens + kept, backbone.token_dim):
            yield f"encode of {kept} patches returned {list(encoded.shape)}"


def attention_problems(backbone: Backbone, images: Tensor) -> Problems:
    """Shape of the attention, and that it is a share of 1."""
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides attention but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    attention = backbone.attention(images)
    if attention.ndim != 3 or attention.shape[0] != 3 or attention.shape[2] != patches:
        yield f"attention returned {list(attention.shape)}, not [3, heads, {patches}]"
    elif attention.min() < 0 or attention.sum(dim=-1).max() > 1 + 1e-4:
        yield "its attention is no share of 1: it is negative, or sums to more"
