"""Baseline: the pixels themselves, normalised per channel, as features."""

from __future__ import annotations

from torch import nn

from sslbench import BuildContext, MethodSpec, Params, hookimpl
from sslbench_plugins.blocks.networks.untrained import Untrained


def build(params: Params, context: BuildContext) -> Untrained:
    return Untrained(nn.Flatten())


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="raw-pixels",
            summary=__doc__.partition("\n")[0],
            params=Params,
            build=build,
            uses=frozenset(),
            trains=False,
        )
    ]
