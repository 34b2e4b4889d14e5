"""Baseline: the backbone with its random initial weights, not trained."""

from __future__ import annotations

from sslbench import MethodSpec, Params, hookimpl
from sslbench_plugins.blocks.networks.untrained import Untrained


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="random-init",
            params=Params,
            build=lambda params, context: Untrained(context.backbone),
            uses=frozenset({"backbone"}),
            trains=False,
        )
    ]
