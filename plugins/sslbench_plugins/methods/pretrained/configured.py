"""The network that a model's configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sslbench import Backbone, TokenBackbone, UserError, build_plugin
from sslbench_plugins.blocks.networks.model_config import ModelConfig
from sslbench_plugins.blocks.networks.model_files import METHOD, check_known
from sslbench_plugins.blocks.networks.no_network import network as network_allowed
from sslbench_plugins.blocks.networks.timm_tokens import as_backbone


def network(config: ModelConfig, size: int) -> Backbone:
    """The configured network, initialised, for images of ``size`` pixels (0: its own). Raises UserError for an
    architecture that timm does not have, or a size that its patches do not divide."""
    if not config.architecture:
        return of_sslbench(config, size)
    check_known(config.architecture)
    arguments, cfg = dict(config.model_args), config.pretrained_cfg
    side = size or arguments.get("img_size") or (cfg.input_size[-1] if cfg and cfg.input_size else 0)
    net, used = timm_model(config.architecture, {**arguments, **({"img_size": side} if side else {})})
    return checked(as_backbone(net, config.architecture, used), size)


def of_sslbench(config: ModelConfig, size: int) -> Backbone:
    """The backbone plugin that an exported folder names."""
    assert config.sslbench is not None
    exported = config.sslbench
    assert exported.backbone is not None
    side = size or exported.image_size
    with network_allowed(False):
        built: Backbone = build_plugin(
            "backbone", exported.backbone.name, given=exported.backbone.params, image_size=side
        )
    return built


def timm_model(architecture: str, arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """timm's model of an architecture, initialised, without its classifier, and the arguments that it was built with:
    convolutional networks take any size and know no ``img_size``. Nothing is fetched. Raises UserError for arguments
    that it cannot be built with."""
    import timm

    used = dict(arguments)
    try:
        with network_allowed(False):
            try:
                net = timm.create_model(architecture, pretrained=False, num_classes=0, **used)
            except TypeError as error:
                if used.pop("img_size", None) is None or "img_size" not in str(error):
                    raise
                net = timm.create_model(architecture, pretrained=False, num_classes=0, **used)
    except NotImplementedError:  # on the meta device
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{METHOD}: timm cannot build {architecture} with {dict(arguments)}: {reason}") from None
    return net, used


def checked(backbone: Backbone, size: int) -> Backbone:
    """The backbone, if its patches divide the size; else raises UserError."""
    if isinstance(backbone, TokenBackbone) and size % backbone.patch_size:
        patch = backbone.patch_size
        raise UserError(f"{METHOD}: size = {size} is not divisible by the model's patches of {patch}")
    return backbone
