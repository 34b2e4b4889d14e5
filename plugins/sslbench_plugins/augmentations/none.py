"""No augmentation: the image resized and centre-cropped, the same every time."""

from __future__ import annotations

from torch import Generator, Tensor

from sslbench import AugmentationSpec, centre_view, hookimpl


class CentreView:
    """uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1; draws nothing."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return centre_view(images, self.size)


class CentreViews:
    """The view that features are extracted from, for every index and kind."""

    def view(self, index: int, kind: str, size: int) -> CentreView:
        """The same view for every index and kind."""
        return CentreView(size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [AugmentationSpec(name="none", build=lambda params, context: CentreViews())]
