"""Baseline: the backbone as it was initialised, without training."""

from __future__ import annotations

from sslbench import BuildContext, MethodSpec, Params, hookimpl
from sslbench_plugins.blocks.networks.untrained import Untrained


def build(params: Params, context: BuildContext) -> Untrained:
    return Untrained(context.backbone)


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="random-init",
            summary=__doc__.partition("\n")[0],
            params=Params,
            build=build,
            uses=frozenset({"backbone"}),
            trains=False,
        )
    ]
