"""No augmentation: the image resized and centre-cropped, the same every time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from sslbench import AugmentationSpec, centre_view, hookimpl


@dataclass(frozen=True)
class CentreView:
    """uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1; draws nothing."""

    size: int

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.apply(images, None)

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> None:
        """Nothing."""

    def apply(self, images: Tensor, drawn: None) -> Tensor:
        """The view that features are extracted from."""
        return centre_view(images, self.size)


class CentreViews:
    """The same for every index and kind."""

    def view(self, index: int, kind: str, size: int) -> CentreView:
        return CentreView(size)


@hookimpl
def sslbench_augmentations() -> list[AugmentationSpec]:
    return [AugmentationSpec(name="none", build=lambda params, context: CentreViews())]
