"""Layer-wise decay of the learning rate: the further from the output, the slower (ELECTRA; BEiT; DINOv2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")


def rate_scales(names: Sequence[str], decay: float, patch_embedding: float = 1.0) -> dict[str, float]:
    """Name of a transformer's parameter -> factor of its learning rate, as DINOv2's `param_groups.py`: ``decay ** (L +
    1 - layer)`` in a transformer of L blocks, where block i, from 0, is layer i + 1; what comes before the blocks is
    layer 0, what comes after them layer L + 1. The patch embedding (`patch_embed`) has ``patch_embedding`` times that.

    ``names``: all, in the order of the network. Blocks are what a name says, as `blocks.3.`; without any, nothing
    decays.
    """
    blocks = {name: int(found[1]) for name in names if (found := BLOCK.search(name))}
    last = 1 + max(blocks.values(), default=-1) + 1
    first = min((names.index(name) for name in blocks), default=0)
    layers = {name: 0 if place < first else last for place, name in enumerate(names)}
    layers |= {name: block + 1 for name, block in blocks.items()}
    slower = {name: patch_embedding if "patch_embed" in name else 1.0 for name in names}
    return {name: decay ** (last - layer) * slower[name] for name, layer in layers.items()}


def scaled_groups(
    parameters: Mapping[str, nn.Parameter], scales: Mapping[str, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Groups for the optimizer: parameters of one scale together, 1 where ``scales`` has none; biases and norms are not
    decayed."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        if parameter.requires_grad:
            groups.setdefault((scales.get(name, 1.0), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": group,
            "lr_scale": scale,
            **({"weight_decay": weight_decay} if decays else {"weight_decay": 0.0, "adapt": False}),
        }
        for (scale, decays), group in groups.items()
    ]
