"""No augmentation: the image resized and centre-cropped, the same every time."""

from __future__ import annotations

from torch import Generator, Tensor

from sslbench import AugmentationSpec, BatchTransform, centre_view, hookimpl


class CentreViews:
    """The view that features are extracted from, for every index and kind; draws nothing."""

    def view(self, index: int, kind: str, size: int) -> BatchTransform:
        def centre(images: Tensor, generator: Generator) -> Tensor:
            return centre_view(images, size)

        return centre


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [AugmentationSpec(name="none", build=lambda params, context: CentreViews())]
