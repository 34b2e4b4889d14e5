"""Any image model of timm, by its name; vision transformers also give tokens."""

from __future__ import annotations

from typing import Any

from sslbench import Backbone, BackboneSpec, BuildContext, LoadedWeights, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.networks.checkpoint_file import content_digest, tensors_of
from sslbench_plugins.blocks.networks.model_files import check_known, repository_of, timms_licence
from sslbench_plugins.blocks.networks.timm_tokens import as_backbone, gives_tokens, provided_by
from sslbench_plugins.blocks.networks.weights_fit import account, account_in_words, load

WHERE = "backbone 'timm'"


class TimmParams(Params):
    """Which of timm's models, and its initial weights."""

    name: str = param(..., "a name of timm.list_models(), such as resnet18 or vit_small_patch16_224", min_length=1)
    pretrained: bool = param(
        False, "start from the weights that timm publishes under this name; --download fetches them once"
    )


def create(params: TimmParams, **options: Any) -> Any:
    """timm's model without its classifier. Raises UserError for a name that timm does not know."""
    import timm

    check_known(params.name, WHERE)
    return timm.create_model(params.name, num_classes=0, **options)


def provides(params: TimmParams) -> frozenset[str]:
    """Of ``tokens`` and ``attention``, what the model gives."""
    return provided_by(lambda: create(params))


def build(params: TimmParams, context: BuildContext) -> Backbone:
    """Raises UserError where patches do not divide the image, and for weights that cannot be had."""
    options = {"img_size": context.image_size}
    try:
        net = create(params, **options)
    except TypeError:
        # Convolutional networks take any size and know no img_size.
        options = {}
        net = create(params)
    patch = net.patch_embed.patch_size[0] if gives_tokens(net) else 1
    if context.image_size % patch:
        raise UserError(
            f"{WHERE}: image size {context.image_size} is not divisible by the patches of {params.name}, {patch} px"
        )
    if params.pretrained:
        way_out = "fetch it elsewhere and copy the cache (HF_HOME) here"
        weights = repository_of(params.name, WHERE).file(download=context.download, way_out=way_out)
        tensors = tensors_of(weights)
        fit = load(net, tensors, f"{WHERE}: {weights}", allow_unused=True)
        backbone = as_backbone(net, params.name, options)
        licence = timms_licence(params.name, of_file=False)
        backbone.loaded_weights = LoadedWeights(
            source=params.name,
            file=str(weights),
            digest=content_digest(weights),
            **account(fit, tensors),
            licence=licence.name,
            licence_reason=licence.reason or None,
            notes=tuple(account_in_words(fit, tensors, expected=True)),
        )
        return backbone
    return as_backbone(net, params.name, options)


def fetches(params: TimmParams) -> str:
    """Weights that are not on this machine, in words; empty where nothing is missing."""
    if not params.pretrained:
        return ""
    repository = repository_of(params.name, WHERE)
    return "" if repository.cached() else f"{params.name} from {repository.address}"


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="timm",
            params=TimmParams,
            build=build,
            provides=provides,
            fetches=fetches,
            citation="Wightman: PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
        )
    ]
