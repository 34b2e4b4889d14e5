"""No augmentation: the image resized and centre-cropped, the same every time."""

from __future__ import annotations

from torch import Generator, Tensor

from sslbench import AugmentationSpec, Params, centre_view, hookimpl


class Plain:
    """The view that features are extracted from."""

    def __init__(self, params: Params) -> None:
        """There is nothing to set."""

    def view(self, index: int, kind: str, size: int) -> CentreView:
        return CentreView(size)


class CentreView:
    """uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1; draws nothing."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return centre_view(images, self.size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(name="none", summary=__doc__.partition("\n")[0], build=lambda params, context: Plain(params))
    ]
