"""Any image model of timm, by its name; vision transformers also give tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sslbench import Backbone, BackboneSpec, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.timm_tokens import TimmTokenBackbone, gives_attention


class TimmParams(Params):
    name: str = param(..., "a name of timm.list_models(), such as resnet18 or vit_small_patch16_224", min_length=1)
    pretrained: bool = param(False, "load the weights that timm publishes (fetches them once)")


class TimmBackbone(Backbone):
    """The pooled features before timm's classifier."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.feature_dim = int(net.num_features)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def gives_tokens(net: Any) -> bool:
    """Whether a timm model is a plain vision transformer with positions added at the input."""
    from timm.models.vision_transformer import VisionTransformer

    # Subclasses put tokens of their own in front (distillation), which encode would not know of.
    return type(net) is VisionTransformer and net.pos_embed is not None and net.attn_pool is None


def create(params: TimmParams, **options: Any) -> Any:
    """timm's model without its classifier. Raises UserError for a name timm does not know."""
    import timm

    if not timm.is_model(params.name):
        near = timm.list_models(f"*{params.name}*")[:5]
        hint = (
            f"; near it: {', '.join(near)}"
            if near
            else "; python -c 'import timm; print(timm.list_models())' lists all"
        )
        raise UserError(f"backbone 'timm': no model name = {params.name!r} in timm {timm.__version__}{hint}")
    return timm.create_model(params.name, num_classes=0, **options)


def provides(params: TimmParams) -> frozenset[str]:
    try:
        with torch.device("meta"):
            net = create(params)
    except RuntimeError:
        # Older versions of timm read numbers back while they build, which the meta device has none of.
        net = create(params)
    if not gives_tokens(net):
        return frozenset()
    return frozenset({"tokens", "attention"}) if gives_attention(net) else frozenset({"tokens"})


def build(params: TimmParams, *, image_size: int) -> TimmBackbone | TimmTokenBackbone:
    try:
        net = create(params, pretrained=params.pretrained, img_size=image_size)
    except TypeError:
        # Convolutional networks take any size and know no img_size.
        net = create(params, pretrained=params.pretrained)
    patch = net.patch_embed.patch_size[0] if gives_tokens(net) else 1
    if image_size % patch:
        raise UserError(
            f"backbone 'timm': image size {image_size} is not divisible by the patches of {params.name}, {patch} px"
        )
    return TimmTokenBackbone(net) if gives_tokens(net) else TimmBackbone(net)


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="timm",
            summary=__doc__.partition("\n")[0],
            params=TimmParams,
            build=build,
            provides=provides,
            citation="Wightman: PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
        )
    ]
