"""Token backbones: shapes of all patches and of some, and attention that is a share of 1."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from sslbench.contracts.backbone import TokenBackbone
from sslbench.testing.conformance.backbones import CLOSE, SIDE, features, images_of, network_of
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.modules import relative
from sslbench.testing.conformance.problem import Problems


def token_backbone(trial: Trial, provides: str) -> TokenBackbone | None:
    """It, where its spec provides this."""
    backbone = trial.once(network_of)
    return backbone if provides in trial.spec.provided(trial.params) and isinstance(backbone, TokenBackbone) else None


@check("backbone", "works on patch tokens", "build", level="bounds", gate=True)
def is_what_it_provides(trial: Trial) -> Problems:
    """A ``TokenBackbone`` where it provides tokens or attention, whose patches cover the image."""
    for name in ("tokens", "attention"):
        if name in trial.spec.provided(trial.params) and not isinstance(trial.once(network_of), TokenBackbone):
            yield f"it says that it provides {name} but is no sslbench.TokenBackbone"
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    for name in ("token_dim", "grid", "patch_size", "prefix_tokens"):
        if not hasattr(backbone, name):
            yield f"it has no {name}"
            return
    if any(side * backbone.patch_size > SIDE for side in backbone.grid):
        yield f"a grid of {backbone.grid} patches of {backbone.patch_size} pixels is larger than an image of {SIDE}"


@check("backbone", "``[B, 3, S, S]`` -> ``[B, rows * cols, token_dim]``", "embed", level="bounds", gate=True)
def embeds_all_patches(trial: Trial) -> Problems:
    """Their shape, and that positions are among them."""
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    patches = backbone.grid[0] * backbone.grid[1]
    tokens = embedded(backbone)
    if tokens.shape != (3, patches, backbone.token_dim):
        yield f"embed returned {list(tokens.shape)}, not [3, {patches}, {backbone.token_dim}]"


@torch.no_grad()
def embedded(backbone: TokenBackbone) -> Tensor:
    """Tokens of three images."""
    return backbone.embed(images_of())


@check("backbone", "What ``embed`` adds to the patches of a grid", "positions")
def positions_have_a_row_for_each_patch(trial: Trial) -> Problems:
    """Of its own grid and of a larger one."""
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    rows, cols = backbone.grid
    for grid in ((rows, cols), (rows + 2, cols + 1)):
        with torch.no_grad():
            found = backbone.positions(grid)
        if found.shape != (grid[0] * grid[1], backbone.token_dim):
            needed = f"[{grid[0] * grid[1]}, {backbone.token_dim}]"
            yield f"positions of {grid[0]} x {grid[1]} patches returned {list(found.shape)}, not {needed}"
            return


@check("backbone", "any n patches", "encode")
def encodes_some_patches(trial: Trial) -> Problems:
    """All, one, and half of them, of one block and two; an image alone."""
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    tokens = embedded(backbone)
    patches, prefix = tokens.shape[1], backbone.prefix_tokens
    with torch.no_grad():
        for kept in (patches, 1, max(1, patches // 2)):
            indices = torch.arange(kept).expand(3, -1)
            for blocks in (1, 2):
                encoded = backbone.encode(tokens[:, :kept], patches=indices, blocks=blocks)
                if encoded.shape != (3, prefix + kept, blocks * backbone.token_dim):
                    yield f"encode of {kept} patches, blocks={blocks}, returned {list(encoded.shape)}"
                    return
        whole, two = backbone.encode(tokens), backbone.encode(tokens, blocks=2)
        alone = backbone.encode(tokens[:1])
    if relative(alone, whole[:1]) > CLOSE:
        yield "in eval mode what encode returns of an image depends on the rest of the batch"
    if relative(two[..., backbone.token_dim :], whole) > CLOSE:
        yield "encode(blocks=2) does not end with what the last block returns"


@check("backbone", "``pool(encode(embed(images)))``", "pool")
def features_are_pooled_tokens(trial: Trial) -> Problems:
    """Those of ``forward``."""
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    with torch.no_grad():
        pooled = backbone.pool(backbone.encode(embedded(backbone)))
    if pooled.shape != (3, backbone.feature_dim) or relative(pooled, features(backbone, images_of())) > CLOSE:
        yield "forward(images) is not pool(encode(embed(images)))"


@check("backbone", "after the softmax over all tokens", "attention")
def attention_is_a_share(trial: Trial) -> Problems:
    """Its shape, and that it is a share of 1."""
    if (backbone := token_backbone(trial, "attention")) is None:
        return
    patches = backbone.grid[0] * backbone.grid[1]
    with torch.no_grad():
        attention = backbone.attention(images_of())
        alone = backbone.attention(images_of()[:1])
    if attention.ndim != 3 or attention.shape[0] != 3 or attention.shape[2] != patches or attention.shape[1] < 1:
        yield f"attention returned {list(attention.shape)}, not [3, heads, {patches}]"
    elif attention.min() < 0 or attention.sum(dim=-1).max() > 1 + 1e-4:
        yield "its attention is no share of 1: it is negative, or sums to more"
    elif not bool(attention.isfinite().all()) or attention.sum() == 0:
        yield "its attention is zero everywhere, or not a number"
    elif relative(alone, attention[:1]) > CLOSE:
        yield "in eval mode the attention in an image depends on the rest of the batch"


@check("backbone", "From now on drop residual branches in training mode", "stochastic_depth")
def branches_are_dropped_in_training_alone(trial: Trial) -> Problems:
    """Features in eval mode are as they were."""
    if (backbone := token_backbone(trial, "tokens")) is None:
        return
    other = copy.deepcopy(backbone)
    other.stochastic_depth(0.5)
    if relative(features(other, images_of()), features(backbone, images_of())) > CLOSE:
        yield "after stochastic_depth the features in eval mode are others"
    if not bool(other.train()(images_of()).isfinite().all()):
        yield "with stochastic_depth its features in training mode are not finite"
