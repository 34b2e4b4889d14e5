"""A horizontal flip and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class FlipOnlyParams(Params):
    probability: float = param(0.5, "of the flip", ge=0, le=1)


class FlipOnly:
    """The same distribution for every view."""

    def __init__(self, params: FlipOnlyParams) -> None:
        self.pipeline = Pipeline(whole=True, flip=params.probability)

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="flip-only",
            summary=__doc__.partition("\n")[0],
            params=FlipOnlyParams,
            build=lambda params, context: FlipOnly(params),
            citation="single transforms: Chen et al. 2020, section 3.1 and figure 5",
        )
    ]
