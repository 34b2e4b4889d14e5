"""MAE's view: random crop and flip, nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class MAEViewParams(Params):
    """Defaults: He et al. 2022, appendix A.1. The filter of the resize is bilinear with antialiasing."""

    crop_scale_min: float = param(0.2, "smallest crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)


class MAEViews:
    """The same distribution for every view."""

    def __init__(self, params: MAEViewParams) -> None:
        self.pipeline = Pipeline(crop_scale=(params.crop_scale_min, 1.0), flip=params.flip)

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="mae",
            summary=__doc__.partition("\n")[0],
            params=MAEViewParams,
            build=lambda params, context: MAEViews(params),
            citation="He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, appendix A.1",
        )
    ]
