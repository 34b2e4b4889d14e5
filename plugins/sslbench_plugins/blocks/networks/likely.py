"""Which of timm's architectures weights are likely to be of, where they do not fit the one that was named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor

MOST = 16
"""architectures that are tried, those with the most similar names first"""
SIZES = re.compile(r"\d+|tiny|small|medium|base|large|huge|giant")


def likely_architecture(architecture: str, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """The most similar name of the same family whose network has all of the tensors and lacks none; or empty. Shapes
    alone are compared, on the meta device."""
    import timm

    from sslbench_plugins.blocks.networks.weights_fit import fits

    stem = architecture.partition(".")[0]
    family = timm.models.model_entrypoint(stem).__module__.rpartition(".")[2]
    shapes = {name: tensor.to("meta") for name, tensor in tensors.items()}

    def similarity(name: str) -> tuple[float, float]:
        plain, other = SIZES.sub("#", name), SIZES.sub("#", stem)
        return SequenceMatcher(None, plain, other).ratio(), SequenceMatcher(None, name, stem).ratio()

    names = [name for name in timm.list_models(module=family) if name != stem]
    for name in sorted(names, key=similarity, reverse=True)[:MOST]:
        for given in (arguments, {}) if arguments else ({},):
            try:
                with torch.device("meta"):
                    net = timm.create_model(name, pretrained=False, num_classes=0, **given)
                if fits(net, shapes):
                    return name
            except Exception:  # an architecture that does not take the arguments, or cannot be built without memory
                continue
    return ""
