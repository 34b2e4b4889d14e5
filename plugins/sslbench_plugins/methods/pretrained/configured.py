"""The network that a model's configuration describes, and the input that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sslbench import Backbone, InputSpec, TokenBackbone, UserError, build_plugin
from sslbench_plugins.blocks.networks.model_files import METHOD, check_known
from sslbench_plugins.blocks.networks.timm_tokens import as_backbone

Config = Mapping[str, Any]


def network(config: Config, size: int) -> Backbone:
    """The configured network, initialised, for images of ``size`` pixels (0: its own). Raises UserError for an
    architecture that timm does not have, or a size that its patches do not divide."""
    if "architecture" not in config:
        exported = config["sslbench"]
        backbone, side = exported["backbone"], size or exported["image_size"]
        built: Backbone = build_plugin("backbone", backbone["name"], given=backbone["params"], image_size=side)
        return built
    check_known(config["architecture"])
    arguments = arguments_of(config)
    side = size or arguments.get("img_size") or (config.get("pretrained_cfg") or {}).get("input_size", [0])[-1]
    if side:
        try:
            return checked(of_timm(config, {**arguments, "img_size": side}), size)
        except TypeError:
            # Convolutional networks take any size and know no img_size.
            arguments.pop("img_size", None)
    return of_timm(config, arguments)


def of_timm(config: Config, arguments: Mapping[str, Any]) -> Backbone:
    """timm's model of the configured architecture as a backbone."""
    return as_backbone(timm_model(config, arguments), config["architecture"], arguments)


def timm_model(config: Config, arguments: Mapping[str, Any]) -> Any:
    """timm's model of the configured architecture, without its classifier."""
    import timm

    return timm.create_model(config["architecture"], num_classes=0, **arguments)


def arguments_of(config: Config) -> dict[str, Any]:
    """Of ``timm.create_model``, but for the number of classes, which is none."""
    return {key: value for key, value in (config.get("model_args") or {}).items() if key != "num_classes"}


def checked(backbone: Backbone, size: int) -> Backbone:
    """The backbone, if its patches divide the size; else raises UserError."""
    if isinstance(backbone, TokenBackbone) and size % backbone.patch_size:
        patch = backbone.patch_size
        raise UserError(f"{METHOD}: size = {size} is not divisible by the model's patches of {patch}")
    return backbone


def configured_input(config: Config, backbone: Backbone, size: int) -> InputSpec:
    """The model's own input, but for ``size`` where it is not 0. Raises UserError where that is not three channels."""
    from timm.data.config import resolve_data_config

    pretrained = config.get("pretrained_cfg") or (config if "input_size" in config else None)
    pretrained = pretrained or getattr(backbone.net, "pretrained_cfg", {})
    data = resolve_data_config(pretrained_cfg=pretrained, verbose=False)  # type: ignore[no-untyped-call]
    channels, _, side = data["input_size"]
    if channels != 3:
        raise UserError(f"{METHOD}: the model wants images of {channels} channels; all data sets have 3")
    return InputSpec(
        size=size or side,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        crop=data["crop_pct"],
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
    )
