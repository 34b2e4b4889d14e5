"""timm's plain vision transformer, tiny to huge, for images and patches of any size."""

from __future__ import annotations

from typing import Any, Literal

import torch

from sslbench import BackboneSpec, BuildContext, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.networks.timm_tokens import TimmTokenBackbone
from sslbench_plugins.blocks.networks.transformer import init_transformer, sincos_positions

Size = Literal["tiny", "small", "base", "large", "huge"]
SIZES: dict[Size, tuple[int, int, int, int]] = {
    "tiny": (192, 12, 3, 16),
    "small": (384, 12, 6, 16),
    "base": (768, 12, 12, 16),
    "large": (1024, 24, 16, 16),
    "huge": (1280, 32, 16, 14),
}
"""width, blocks, heads, patch"""


class ViTParams(Params):
    """Size, patches, pooling and positions of the network."""

    size: Size = param("base", "width, blocks and heads of ViT-Ti, S, B, L or H")
    patch_size: int = param(0, "side of a patch; 0: 16, for huge 14", ge=0, unit="px")
    heads: int = param(0, "attention heads; 0: the size's own (MoCo v3 gives small 12)", ge=0)
    pool: Literal["class", "mean"] = param("class", "features: the class token, or the mean of the patch tokens")
    positions: Literal["sincos", "learned"] = param(
        "sincos",
        "fixed sines and cosines, with weights by Xavier (MAE, MoCo v3); or learned, with small normal weights (DINO)",
    )
    init: Literal["mae", "moco-v3"] = param(
        "mae", "with fixed positions: queries, keys and values drawn as one matrix (MAE) or as three (MoCo v3)"
    )


def arguments_of(params: ViTParams, image_size: int) -> dict[str, Any]:
    """The arguments in which this network differs from timm's of the same size."""
    _, _, heads, patch = SIZES[params.size]
    return {
        "img_size": image_size,
        "patch_size": params.patch_size or patch,
        "num_heads": params.heads or heads,
        "global_pool": "token" if params.pool == "class" else "avg",
        "fc_norm": False,
    }


def create(params: ViTParams, image_size: int) -> Any:
    """timm's ``VisionTransformer`` without classifier. Raises UserError where patches or heads do not fit."""
    from timm.models.vision_transformer import VisionTransformer

    dim, depth, _, _ = SIZES[params.size]
    arguments = arguments_of(params, image_size)
    patch, heads = arguments["patch_size"], arguments["num_heads"]
    if image_size % patch:
        raise UserError(f"backbone 'vit': image size {image_size} is not divisible by patch_size = {patch}")
    if dim % heads:
        raise UserError(f"backbone 'vit': the width of {params.size}, {dim}, is not divisible by heads = {heads}")
    net = VisionTransformer(embed_dim=dim, depth=depth, num_classes=0, **arguments)
    if params.positions == "sincos":
        xavier(net, moco_v3=params.init == "moco-v3")
        fixed = sincos_positions(image_size // patch, image_size // patch, dim)
        # The class token has no position in the image: zero.
        net.pos_embed = torch.nn.Parameter(torch.cat([torch.zeros(1, dim), fixed])[None], requires_grad=False)
    return net


def xavier(net: Any, moco_v3: bool = False) -> None:
    """MAE's `initialize_weights`: the patch projection counts as a linear layer, the class token is N(0, 0.02). MoCo
    v3's `vits.py`: queries, keys and values each as a matrix of their own, the class token is N(0, 1e-6)."""
    net.apply(init_transformer)
    projection = net.patch_embed.proj.weight
    torch.nn.init.xavier_uniform_(projection.view(len(projection), -1))
    torch.nn.init.normal_(net.cls_token, std=1e-6 if moco_v3 else 0.02)
    if moco_v3:
        for block in net.blocks:
            for part in block.attn.qkv.weight.chunk(3):
                torch.nn.init.xavier_uniform_(part)


def build(params: ViTParams, context: BuildContext) -> TimmTokenBackbone:
    """Raises UserError where patches do not divide the image, or heads the width."""
    architecture = f"vit_{params.size}_patch{SIZES[params.size][3]}_224"
    net = create(params, context.image_size)
    return TimmTokenBackbone(net, architecture, arguments_of(params, context.image_size))


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="vit",
            params=ViTParams,
            build=build,
            provides=frozenset({"tokens", "attention"}),
            citation="Dosovitskiy et al.: An Image Is Worth 16x16 Words, ICLR 2021; tiny, small: Touvron et al. 2021;"
            " positions: He et al. 2022",
        )
    ]
