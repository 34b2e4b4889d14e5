"""A random crop, resized, and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class CropOnlyParams(Params):
    scale_min: float = param(0.08, "smallest crop, as a share of the area", gt=0, le=1)


class CropOnly:
    """The same distribution for every view."""

    def __init__(self, params: CropOnlyParams) -> None:
        self.pipeline = Pipeline(crop_scale=(params.scale_min, 1.0))

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="crop-only",
            summary=__doc__.partition("\n")[0],
            params=CropOnlyParams,
            build=lambda params, context: CropOnly(params),
            citation="single transforms: Chen et al. 2020, section 3.1 and figure 5",
        )
    ]
