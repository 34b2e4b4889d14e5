"""Baseline: a model that somebody else trained, or that was exported here, evaluated as it is, without training.

Weights come from timm's names or any model in timm's layout on the Hugging Face hub (``name``), from a file or folder
on this machine (``path``), or from torch.hub (``hub``). Size, crop, mean, deviation and pooling are the model's own.
Files are read as tensors alone; only ``hub`` runs code that comes with a model, and only where the user allows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from torch import nn

from sslbench import Backbone, BuildContext, InputSpec, Licence, LoadedWeights, MethodSpec, UserError, hookimpl
from sslbench_plugins.blocks.networks.checkpoint_file import content_digest, tensors_of
from sslbench_plugins.blocks.networks.likely import likely_architecture
from sslbench_plugins.blocks.networks.model_config import ModelConfig, read_config
from sslbench_plugins.blocks.networks.model_files import (
    CONFIG,
    HUB,
    METHOD,
    check_known,
    configuration_of,
    on_disk,
    published,
    repository_of,
    timms_licence,
)
from sslbench_plugins.blocks.networks.timm_tokens import TimmBackbone, TimmTokenBackbone, provided_by
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.networks.weights_fit import account, account_in_words, load
from sslbench_plugins.methods.pretrained.configured import network, timm_model
from sslbench_plugins.methods.pretrained.given_input import configured_input, guessed_input
from sslbench_plugins.methods.pretrained.params import PretrainedParams
from sslbench_plugins.methods.pretrained.pooled import pooled
from sslbench_plugins.methods.pretrained.presets import PRESETS
from sslbench_plugins.methods.pretrained.torch_hub import HubEncoder, HubModel

IMAGENET = InputSpec(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224 / 256, "bicubic")
"""input of models of torch.hub, which say nothing of theirs: DINOv2's own evaluation, and most others'"""


class Pretrained(Untrained):
    """An encoder with its own input, and a way to make the same network anew."""

    def __init__(self, encoder: Backbone, input_spec: InputSpec, initialise: Callable[[], nn.Module]) -> None:
        super().__init__(encoder)
        self._input_spec, self._initialise = input_spec, initialise

    @property
    def input_spec(self) -> InputSpec:
        return self._input_spec

    def untrained(self) -> nn.Module:
        return self._initialise()


def build(params: PretrainedParams, context: BuildContext) -> Pretrained:
    """Raises UserError where the model is not here, and may not be or cannot be fetched, or does not fit."""
    if params.hub:
        return of_hub(params, context.download)
    files = on_disk(params.location, params.name) if params.path else published(params.name, context.download)
    config = files.config
    encoder = network(config, params.size)
    features = pooled(encoder, params)
    net = encoder.net if isinstance(encoder, (TimmBackbone, TimmTokenBackbone)) else encoder
    is_timms = not params.path and not params.name.startswith(HUB)
    tensors = tensors_of(files.weights)

    def likely() -> str:
        return likely_architecture(config.architecture, config.model_args, tensors) if config.architecture else ""

    where = f"{METHOD}: {files.weights}"
    fit = load(net, tensors, where, params.weights, params.allow_unused or is_timms, likely)
    given = configured_input(config, encoder, params)
    licence = licence_of(params)
    features.loaded_weights = LoadedWeights(
        source=params.path or params.name,
        file=str(files.weights),
        digest=content_digest(files.weights),
        **account(fit, tensors),
        input_from=given.origins,
        white=config.sslbench.white if config.sslbench else None,
        licence=licence.name,
        licence_reason=licence.reason or None,
        notes=(*account_in_words(fit, tensors, expected=is_timms), *given.notes),
    )
    return Pretrained(features, given.spec, lambda: pooled(network(config, params.size), params))


def of_hub(params: PretrainedParams, download: bool) -> Pretrained:
    """The model of ``hub``, with ImageNet's input unless the parameters say otherwise."""
    hub, given = HubModel.named(params.hub), guessed_input(IMAGENET, params)

    def initialise() -> HubEncoder:
        try:
            return HubEncoder(hub.build(False, pretrained=False), params.hub, given.spec.size)
        except TypeError:
            raise UserError(
                f"torch.hub's {params.hub} takes no pretrained=False: it cannot be built untrained"
            ) from None

    encoder, licence = HubEncoder(hub.build(download), params.hub, given.spec.size), licence_of(params)
    encoder.loaded_weights = LoadedWeights(
        source=params.hub,
        input_from=given.origins,
        licence=licence.name,
        licence_reason=licence.reason or None,
        code=hub.repository,
        notes=given.notes,
    )
    return Pretrained(encoder, given.spec, initialise)


def licence_of(params: PretrainedParams) -> Licence:
    """Of the weights, as far as it is known without fetching anything."""
    if params.licence:
        return Licence(params.licence)
    if params.hub:
        return Licence(None, "torch.hub names none; licence= says it")
    config = known_config(params)
    if config is None:
        return Licence(None, "the model is not on this machine yet")
    if config.architecture and not (params.path and not params.name) and not params.name.startswith(HUB):
        return timms_licence(params.name, bool(params.path))
    name = config.pretrained_cfg.license if config.pretrained_cfg else None
    return Licence(name) if name else Licence(None, f"{CONFIG} names none; licence= says it")


def fingerprint(params: PretrainedParams) -> str:
    """Of what lies on this machine; what is published under a name does not change."""
    if params.path:
        weights = on_disk(params.location, params.name).weights
        config = weights.parent / CONFIG
        return content_digest(weights, *([config] if config.is_file() else []))
    if params.hub and (hub := HubModel.named(params.hub)).local.is_dir():
        return content_digest(*hub.files())
    return ""


def fetches(params: PretrainedParams) -> str:
    """What is not on this machine, in words; empty where nothing is missing."""
    if params.path:
        return ""
    if params.hub:
        hub = HubModel.named(params.hub)
        return "" if hub.folder else f"{params.hub} from github.com"
    repository = repository_of(params.name)
    complete = repository.cached() and (not params.name.startswith(HUB) or configuration_of(params.name))
    return "" if complete else f"{params.name} from {repository.address}"


def provides(params: PretrainedParams) -> frozenset[str]:
    """Of a model of torch.hub, or of one on the hub that is not here yet, an encoder alone."""
    config = None if params.hub else known_config(params)
    if config is None:
        return frozenset({"encoder"})
    if not config.architecture:
        return frozenset({"encoder", *(config.sslbench.provides if config.sslbench else ())})
    check_known(config.architecture)
    return provided_by_timm(config.architecture, json.dumps(config.model_args))


def known_config(params: PretrainedParams) -> ModelConfig | None:
    """The configuration of a model as far as it is known without fetching anything."""
    if params.path:
        return on_disk(params.location, params.name).config
    if not params.name.startswith(HUB):
        repository_of(params.name)
        return ModelConfig(architecture=params.name)
    cached = configuration_of(params.name)
    return read_config(cached) if cached else None


@lru_cache(maxsize=64)
def provided_by_timm(architecture: str, arguments: str) -> frozenset[str]:
    """Of an architecture with these arguments, as JSON; built once."""
    return provided_by(lambda: timm_model(architecture, json.loads(arguments))[0]) | {"encoder"}


def runs_code(params: PretrainedParams) -> str:
    """Whose code builds the model, in words; empty where that is timm's and ours."""
    return f"the code of {HubModel.named(params.hub).repository} (hub={params.hub})" if params.hub else ""


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="pretrained",
            params=PretrainedParams,
            build=build,
            uses=frozenset(),
            provides=provides,
            trains=False,
            presets=PRESETS,
            fingerprint=fingerprint,
            fetches=fetches,
            runs_code=runs_code,
            licence=licence_of,
            citation="Oquab et al. 2023, DINOv2; Radford et al. 2021, CLIP; Caron et al. 2021, DINO; He et al. 2022,"
            " MAE; Wightman: PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
        )
    ]
