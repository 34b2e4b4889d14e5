"""A model that somebody else trained, or that was exported here: judged as it is, without a training step.

Weights come from timm's names or any model in timm's layout on the Hugging Face hub (``name``), from a file or folder
on this machine (``path``), or from torch.hub (``hub``). Size, crop, mean, deviation and pooling are the model's own.
Files are read as tensors alone; only ``hub`` runs code that comes with a model, which is what torch.hub is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import model_validator
from torch import Tensor, nn

from sslbench import (
    Backbone,
    BuildContext,
    InputSpec,
    MethodSpec,
    Params,
    TokenBackbone,
    UserError,
    build_plugin,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.networks.checkpoint_file import fit, tensors_of
from sslbench_plugins.blocks.networks.model_files import (
    CONFIG,
    HUB,
    check_known,
    on_disk,
    published,
    read_config,
    repository_of,
)
from sslbench_plugins.blocks.networks.timm_tokens import Recipe, TimmBackbone, TimmTokenBackbone, words_of, wrapped
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.methods.pretrained.content_digest import content_digest
from sslbench_plugins.methods.pretrained.torch_hub import HubModel

IMAGENET = InputSpec(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224 / 256, "bicubic")
"""what models of torch.hub, which say nothing of their input, are given: DINOv2's own evaluation, and most others'"""
HEADS = ("fc", "head", "heads", "classifier")
SOURCES = "name= (timm's, or hf-hub:OWNER/MODEL), path= (a file or folder) or hub= (OWNER/REPO:ENTRY)"

PRESETS: dict[str, dict[str, Any]] = {
    # At 224 pixels, as its authors judge it; timm's configuration says 518, at which it was trained last.
    "dinov2-vits14": {"name": "vit_small_patch14_dinov2.lvd142m", "size": 224},
    "dinov2-vitb14": {"name": "vit_base_patch14_dinov2.lvd142m", "size": 224},
    "dinov2-vitl14": {"name": "vit_large_patch14_dinov2.lvd142m", "size": 224},
    # OpenAI trained with QuickGELU; timm's plain variant of the same weights has another activation.
    "clip-vitb16": {"name": "vit_base_patch16_clip_quickgelu_224.openai"},
    "dino-vits16": {"name": "vit_small_patch16_224.dino"},
    "supervised-resnet50": {"name": "resnet50.a1_in1k"},
    "supervised-vitb16": {"name": "vit_base_patch16_224.augreg_in21k_ft_in1k"},
    "mae-vitb16": {"name": "vit_base_patch16_224.mae"},
}


class PretrainedParams(Params):
    name: str = param("", "timm's name, such as resnet50.a1_in1k, or hf-hub:OWNER/MODEL; of a file, its architecture")
    path: str = param("", "weights on this machine: a folder that `sslbench export` or timm wrote, or a file")
    hub: str = param("", "torch.hub: OWNER/REPO:ENTRY or FOLDER:ENTRY, such as facebookresearch/dinov2:dinov2_vits14")
    size: int = param(0, "side of the images that it is given; 0: its own", ge=0, unit="px")

    @model_validator(mode="after")
    def _one_source(self) -> PretrainedParams:
        given = [key for key in ("name", "path", "hub") if getattr(self, key)]
        if not given:
            raise ValueError(f"no model is named; give {SOURCES}, or preset= one of {', '.join(PRESETS)}")
        if given not in (["name"], ["path"], ["hub"], ["name", "path"]) or (self.path and self.name.startswith(HUB)):
            raise ValueError(
                f"{' and '.join(given)} are given together; give one of {SOURCES}; a file also takes name="
            )
        return self


class Pretrained(Untrained):
    """An encoder with its own input."""

    def __init__(self, encoder: nn.Module, wanted: InputSpec, fresh: Callable[[], nn.Module]) -> None:
        super().__init__(encoder)
        self._wanted, self._fresh = wanted, fresh

    @property
    def input_spec(self) -> InputSpec:
        return self._wanted

    def untrained(self) -> nn.Module:
        return self._fresh()


class HubEncoder(Backbone):
    """A network of torch.hub without its classifier: what it answers for an image is its features."""

    def __init__(self, net: nn.Module, label: str, size: int) -> None:
        super().__init__()
        for name in HEADS:
            if isinstance(getattr(net, name, None), nn.Linear):
                setattr(net, name, nn.Identity())
        self.net = net
        with torch.no_grad():
            found = net.eval()(torch.zeros(1, 3, size, size))
        if not isinstance(found, Tensor) or found.ndim != 2:
            what = f"a tensor of {found.ndim} dimensions" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise UserError(f"torch.hub's {label} answers {what}, not features [B, D]")
        self.feature_dim = found.shape[1]

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def network(config: Mapping[str, Any], size: int) -> Backbone:
    """The network that a configuration describes, initialised, for images of ``size`` (0: its own)."""
    if "architecture" not in config:
        ours = config["sslbench"]
        backbone = ours["backbone"]
        side = size or ours["image_size"]
        built: Backbone = build_plugin("backbone", backbone["name"], given=backbone["params"], image_size=side)
        return built
    check_known(config["architecture"])
    given = arguments_of(config)
    side = size or given.get("img_size") or (config.get("pretrained_cfg") or {}).get("input_size", [0])[-1]
    if side:
        try:
            sized = {**given, "img_size": side}
            return checked(wrapped(timm_model(config, sized), Recipe(config["architecture"], sized)), size)
        except TypeError:
            # Convolutional networks take any size and know no img_size.
            given.pop("img_size", None)
    return wrapped(timm_model(config, given), Recipe(config["architecture"], given))


def arguments_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``timm.create_model``, but for the number of classes, which is none."""
    return {key: value for key, value in (config.get("model_args") or {}).items() if key != "num_classes"}


def timm_model(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    import timm

    return timm.create_model(config["architecture"], num_classes=0, **arguments)


def checked(backbone: Backbone, size: int) -> Backbone:
    if isinstance(backbone, TokenBackbone) and size % backbone.patch_size:
        patch = backbone.patch_size
        raise UserError(f"method 'pretrained': size = {size} is not divisible by the model's patches of {patch}")
    return backbone


def wanted_input(config: Mapping[str, Any], backbone: Backbone, size: int) -> InputSpec:
    """What the model's own configuration says of its input."""
    from timm.data import resolve_data_config

    given = config.get("pretrained_cfg") or (config if "input_size" in config else None)
    found = resolve_data_config(pretrained_cfg=given or getattr(backbone.net, "pretrained_cfg", {}), verbose=False)
    channels, _, side = found["input_size"]
    if channels != 3:
        raise UserError(f"method 'pretrained': the model wants images of {channels} channels; all data sets have 3")
    return InputSpec(
        size or side,
        tuple(found["mean"]),
        tuple(found["std"]),
        found["crop_pct"],
        "bilinear" if found["interpolation"] == "bilinear" else "bicubic",
    )


def of_hub(params: PretrainedParams, download: bool) -> Pretrained:
    hub = HubModel.named(params.hub)
    wanted = replace(IMAGENET, size=params.size or IMAGENET.size)

    def fresh() -> HubEncoder:
        try:
            return HubEncoder(hub.build(False, pretrained=False), params.hub, wanted.size)
        except TypeError:
            raise UserError(
                f"torch.hub's {params.hub} takes no pretrained=False: it cannot be built untrained"
            ) from None

    return Pretrained(HubEncoder(hub.build(download), params.hub, wanted.size), wanted, fresh)


def build(params: PretrainedParams, context: BuildContext) -> Pretrained:
    if params.hub:
        return of_hub(params, context.download)
    found = on_disk(located(params), params.name) if params.path else published(params.name, context.download)
    net = network(found.config, params.size)
    weighted = net.net if isinstance(net, (TimmBackbone, TimmTokenBackbone)) else net
    fit(weighted, tensors_of(found.weights), f"method 'pretrained': {found.weights}")
    wanted = wanted_input(found.config, net, params.size)
    return Pretrained(net, wanted, lambda: network(found.config, params.size))


def located(params: PretrainedParams) -> Path:
    return Path(params.path).expanduser()


def fingerprint(params: PretrainedParams) -> str:
    """Of what lies on this machine; what is published under a name does not change."""
    if params.path:
        found = on_disk(located(params), params.name)
        config = found.weights.parent / CONFIG
        return content_digest(found.weights, *([config] if config.is_file() else []))
    if params.hub and (hub := HubModel.named(params.hub)).is_local:
        return content_digest(*hub.files())
    return ""


def fetches(params: PretrainedParams) -> str:
    if params.path:
        return ""
    if params.hub:
        hub = HubModel.named(params.hub)
        return "" if hub.folder else f"{params.hub} from github.com"
    repository = repository_of(params.name)
    there = repository.cached() and (not params.name.startswith(HUB) or repository.cached(CONFIG))
    return "" if there else f"{params.name} from {repository.address}"


def provides(params: PretrainedParams) -> frozenset[str]:
    """Of a model of torch.hub, or of one on the hub that is not here yet, an encoder alone."""
    config = None if params.hub else config_here(params)
    if config is None:
        return frozenset({"encoder"})
    if "architecture" not in config:
        return frozenset({"encoder", *config["sslbench"].get("provides", ())})
    check_known(config["architecture"])
    return timm_words(config["architecture"], json.dumps(arguments_of(config)))


def config_here(params: PretrainedParams) -> Mapping[str, Any] | None:
    """What is known of a model without fetching anything."""
    if params.path:
        return on_disk(located(params), params.name).config
    repository = repository_of(params.name)
    if not params.name.startswith(HUB):
        return {"architecture": params.name}
    cached = repository.cached(CONFIG)
    return read_config(cached) if cached else None


@lru_cache(maxsize=64)
def timm_words(architecture: str, arguments: str) -> frozenset[str]:
    return words_of(lambda: timm_model({"architecture": architecture}, json.loads(arguments))) | {"encoder"}


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="pretrained",
            summary=__doc__.partition("\n")[0],
            params=PretrainedParams,
            build=build,
            uses=frozenset(),
            provides=provides,
            trains=False,
            presets=PRESETS,
            fingerprint=fingerprint,
            fetches=fetches,
            citation="Oquab et al. 2023, DINOv2; Radford et al. 2021, CLIP; Caron et al. 2021, DINO; He et al. 2022,"
            " MAE; Wightman: PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
        )
    ]
