"""Colour jitter in random order and nothing else."""

from __future__ import annotations

from sslbench import AugmentationSpec, BuildContext, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicViews, Pipeline


class JitterOnlyParams(Params):
    """How often, and how strong."""

    probability: float = param(0.8, "of the jitter", ge=0, le=1)
    strength: float = param(1.0, "brightness, contrast and saturation 0.8 times it, hue 0.2", ge=0, le=2)


def build(params: JitterOnlyParams, context: BuildContext) -> PhotographicViews:
    """The same pipeline for every view."""
    strengths = (*(0.8 * params.strength,) * 3, min(0.5, 0.2 * params.strength))
    return PhotographicViews(Pipeline(whole=True, jitter=params.probability, strengths=strengths))


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    citation = "single transforms: Chen et al. 2020, section 3.1 and figure 5"
    return [AugmentationSpec(name="jitter-only", params=JitterOnlyParams, build=build, citation=citation)]
