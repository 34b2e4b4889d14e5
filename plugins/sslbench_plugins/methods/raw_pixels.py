"""Baseline: the pixels themselves, normalised per channel, as features."""

from __future__ import annotations

from torch import nn

from sslbench import MethodSpec, Params, hookimpl
from sslbench_plugins.blocks.networks.untrained import Untrained


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="raw-pixels",
            params=Params,
            build=lambda params, context: Untrained(nn.Flatten()),
            uses=frozenset(),
            trains=False,
        )
    ]
