"""Any image model of timm, by its name; vision transformers also give tokens."""

from __future__ import annotations

from typing import Any

from sslbench import BackboneSpec, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.timm_tokens import Recipe, TimmBackbone, TimmTokenBackbone, gives_tokens, words_of, wrapped


class TimmParams(Params):
    name: str = param(..., "a name of timm.list_models(), such as resnet18 or vit_small_patch16_224", min_length=1)
    pretrained: bool = param(False, "load the weights that timm publishes (fetches them once)")


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
    return words_of(lambda: create(params))


def build(params: TimmParams, *, image_size: int) -> TimmBackbone | TimmTokenBackbone:
    try:
        net = create(params, pretrained=params.pretrained, img_size=image_size)
    except TypeError:
        # Convolutional networks take any size and know no img_size.
        return wrapped(create(params, pretrained=params.pretrained), Recipe(params.name))
    patch = net.patch_embed.patch_size[0] if gives_tokens(net) else 1
    if image_size % patch:
        raise UserError(
            f"backbone 'timm': image size {image_size} is not divisible by the patches of {params.name}, {patch} px"
        )
    return wrapped(net, Recipe(params.name, {"img_size": image_size}))


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
