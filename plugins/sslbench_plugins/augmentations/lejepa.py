"""LeJEPA's views: large and small crops, with the same colours, blurs and solarisations for all of them."""

from __future__ import annotations

from dataclasses import replace

from sslbench import AugmentationSpec, Params, hookimpl, param
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline


class LeJEPAViewParams(Params):
    """Defaults: the authors' `README.md`, section on hyperparameters. The filter of the resize is bilinear, the blur a
    Gaussian cut at a tenth of the view."""

    global_scale_min: float = param(0.3, "smallest large crop, as a share of the area", gt=0, le=1)
    local_scale_min: float = param(0.05, "smallest small crop, as a share of the area", gt=0, le=1)
    local_scale_max: float = param(0.3, "largest small crop, as a share of the area", gt=0, le=1)
    flip: float = param(0.5, "probability of a horizontal flip", ge=0, le=1)
    jitter: float = param(0.8, "probability of colour jitter", ge=0, le=1)
    brightness: float = param(0.4, "strength of the jitter", ge=0)
    contrast: float = param(0.4, "strength of the jitter", ge=0)
    saturation: float = param(0.2, "strength of the jitter", ge=0)
    hue: float = param(0.1, "strength of the jitter, as a share of the circle", ge=0, le=0.5)
    grey: float = param(0.2, "probability of dropping the colours", ge=0, le=1)
    blur: float = param(0.5, "probability of a Gaussian blur, sigma 0.1 to 2 px", ge=0, le=1)
    solarize: float = param(0.2, "probability of a solarisation, threshold 0.5", ge=0, le=1)


class LeJEPAViews:
    """The same pipeline for every index; ``local`` views are small crops."""

    def __init__(self, params: LeJEPAViewParams) -> None:
        self.large = Pipeline(
            crop_scale=(params.global_scale_min, 1.0),
            flip=params.flip,
            jitter=params.jitter,
            strengths=(params.brightness, params.contrast, params.saturation, params.hue),
            grey=params.grey,
            blur=params.blur,
            solarize=params.solarize,
        )
        largest = max(params.local_scale_min, params.local_scale_max)
        self.small = replace(self.large, crop_scale=(params.local_scale_min, largest))

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        """The view of a kind."""
        return PhotographicView(self.small if kind == "local" else self.large, size)


# The authors' small example, `MINIMAL.md`.
EXAMPLE = {"global_scale_min": 0.08, "brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="lejepa",
            params=LeJEPAViewParams,
            build=lambda params, context: LeJEPAViews(params),
            view_kinds=frozenset({"global", "local"}),
            presets={
                "cifar": {**EXAMPLE, "blur": 0.0},
                "imagenette": EXAMPLE,
                "quick": {"blur": 0.0, "local_scale_min": 0.15},
            },
            citation="Balestriero, LeCun: LeJEPA: Provable and Scalable Self-Supervised Learning Without the"
            " Heuristics, 2025",
        )
    ]
