"""Colours dropped and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class GreyOnlyParams(Params):
    probability: float = param(0.5, "of dropping the colours", ge=0, le=1)


class GreyOnly:
    """The same distribution for every view."""

    def __init__(self, params: GreyOnlyParams) -> None:
        self.pipeline = Pipeline(whole=True, grey=params.probability)

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="grey-only",
            summary=__doc__.partition("\n")[0],
            params=GreyOnlyParams,
            build=lambda params, context: GreyOnly(params),
            citation="single transforms: Chen et al. 2020, section 3.1 and figure 5",
        )
    ]
