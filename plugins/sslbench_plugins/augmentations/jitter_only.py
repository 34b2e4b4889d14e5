"""Colour jitter in random order and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class JitterOnlyParams(Params):
    probability: float = param(0.8, "of the jitter", ge=0, le=1)
    strength: float = param(1.0, "brightness, contrast and saturation 0.8 times it, hue 0.2", ge=0, le=2)


class JitterOnly:
    """The same distribution for every view."""

    def __init__(self, params: JitterOnlyParams) -> None:
        self.pipeline = Pipeline(
            whole=True,
            jitter=params.probability,
            strengths=(*(0.8 * params.strength,) * 3, min(0.5, 0.2 * params.strength)),
        )

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="jitter-only",
            summary=__doc__.partition("\n")[0],
            params=JitterOnlyParams,
            build=lambda params, context: JitterOnly(params),
            citation="single transforms: Chen et al. 2020, section 3.1 and figure 5",
        )
    ]
