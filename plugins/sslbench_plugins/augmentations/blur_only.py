"""A Gaussian blur and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class BlurOnlyParams(Params):
    probability: float = param(0.5, "of the blur, its kernel a tenth of the view", ge=0, le=1)
    sigma_min: float = param(0.1, "smallest deviation", gt=0, unit="px")
    sigma_max: float = param(2.0, "largest deviation", gt=0, unit="px")


class BlurOnly:
    """The same distribution for every view."""

    def __init__(self, params: BlurOnlyParams) -> None:
        self.pipeline = Pipeline(
            whole=True, blur=params.probability, blur_sigma=(params.sigma_min, max(params.sigma_min, params.sigma_max))
        )

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        return PhotographicView(self.pipeline, size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="blur-only",
            summary=__doc__.partition("\n")[0],
            params=BlurOnlyParams,
            build=lambda params, context: BlurOnly(params),
            citation="single transforms: Chen et al. 2020, section 3.1 and figure 5",
        )
    ]
