"""A Gaussian blur and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class BlurOnlyParams(Params):
    """How often, and how strong."""

    probability: float = param(0.5, "of the blur, its kernel a tenth of the view", ge=0, le=1)
    sigma_min: float = param(0.1, "smallest deviation", gt=0, unit="px")
    sigma_max: float = param(2.0, "largest deviation", gt=0, unit="px")


def build(params: BlurOnlyParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    sigma = (params.sigma_min, max(params.sigma_min, params.sigma_max))
    return PhotographicViews(Pipeline(whole=True, blur=params.probability, blur_sigma=sigma))


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    citation = "single transforms: Chen et al. 2020, section 3.1 and figure 5"
    return [AugmentationSpec(name="blur-only", params=BlurOnlyParams, build=build, citation=citation)]
