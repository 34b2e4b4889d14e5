"""A horizontal flip and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class FlipOnlyParams(Params):
    """How often."""

    probability: float = param(0.5, "of the flip", ge=0, le=1)


def build(params: FlipOnlyParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    return PhotographicViews(Pipeline(whole=True, flip=params.probability))


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    citation = "single transforms: Chen et al. 2020, section 3.1 and figure 5"
    return [AugmentationSpec(name="flip-only", params=FlipOnlyParams, build=build, citation=citation)]
