"""Baseline: the backbone as it was initialised, without training."""

from __future__ import annotations

from sslbench import Backbone, MethodSpec, Params, hookimpl
from sslbench_plugins.blocks.untrained import Untrained


def build(params: Params, *, backbone: Backbone, image_size: int, mask_ratio: float | None) -> Untrained:
    return Untrained(backbone)


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
