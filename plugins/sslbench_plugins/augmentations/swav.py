"""SwAV's multi-crop: any number of large and of small crops, coloured and blurred alike."""

from __future__ import annotations

from dataclasses import replace

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class SwAVViewParams(Params):
    """Defaults: Caron et al. 2020, section 3.3 and appendix A.2. The filter of the resize is bilinear, the blur a
    Gaussian cut at a tenth of the view."""

    global_scale_min: float = param(0.14, "smallest large crop, as a share of the area", gt=0, le=1)
    local_scale_min: float = param(0.05, "smallest small crop, as a share of the area", gt=0, le=1)
    local_scale_max: float = param(0.14, "largest small crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter", ge=0, le=1)
    strength: float = param(1.0, "of the jitter: brightness, contrast and saturation 0.8 times it, hue 0.2", ge=0, le=2)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur: float = param(0.5, "probability of a Gaussian blur, sigma 0.1 to 2 px", ge=0, le=1)


class SwAVViews:
    """The same pipeline for every index; ``local`` views are small crops."""

    def __init__(self, params: SwAVViewParams) -> None:
        self.large = Pipeline(
            crop_scale=(params.global_scale_min, 1.0),
            flip=params.flip,
            jitter=params.jitter,
            strengths=(*(0.8 * params.strength,) * 3, min(0.5, 0.2 * params.strength)),
            grey=params.grey,
            blur=params.blur,
        )
        largest = max(params.local_scale_min, params.local_scale_max)
        self.small = replace(self.large, crop_scale=(params.local_scale_min, largest))

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        """The view of a kind."""
        return PhotographicView(self.small if kind == "local" else self.large, size)


# lightly's benchmarks: half the strength; on CIFAR-10 no blur.
SMALL_IMAGES = {"blur": 0.0, "strength": 0.5}


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="swav",
            params=SwAVViewParams,
            build=lambda params, context: SwAVViews(params),
            view_kinds=frozenset({"global", "local"}),
            presets={
                "cifar": SMALL_IMAGES,
                "imagenette": {"strength": 0.5},
                "quick": {**SMALL_IMAGES, "global_scale_min": 0.2, "local_scale_min": 0.15, "local_scale_max": 0.4},
            },
            citation="Caron et al.: Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,"
            " NeurIPS 2020, section 3.3",
        )
    ]
