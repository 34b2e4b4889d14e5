"""A random crop, resized, and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class CropOnlyParams(Params):
    """The sizes of crops."""

    scale_min: float = param(0.08, "smallest crop, as a share of the area", gt=0, le=1)


def build(params: CropOnlyParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    return PhotographicViews(Pipeline(crop_scale=(params.scale_min, 1.0)))


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    citation = "single transforms: Chen et al. 2020, section 3.1 and figure 5"
    return [AugmentationSpec(name="crop-only", params=CropOnlyParams, build=build, citation=citation)]
