"""What a view keeps of a grey image: its anatomy and its signal."""

from __future__ import annotations

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.simulators.augmentation_validator.grey_views import Picture


def larger_half(image: Picture) -> str | None:
    """``left`` or ``right`` of the middle column of ``[H, W]``, by the sum of pixels; None where they are equal.

    Of an odd width the middle column belongs to neither. Raises ValueError for what is not two-dimensional or
    narrower than 2 pixels.
    """
    if image.ndim != 2 or image.shape[1] < 2:
        raise ValueError(f"image of shape {image.shape}; expected [H, W] with W of 2 or more")
    half = image.shape[1] // 2
    left, right = float(image[:, :half].sum()), float(image[:, -half:].sum())
    return None if left == right else "left" if left > right else "right"


def anatomy_kept(original: Picture, view: Picture) -> bool | None:
    """Is the half of ``[H, W]`` with the larger pixel sum still the same; None where the halves are equal."""
    before, after = larger_half(original), larger_half(view)
    return None if before is None or after is None else before == after


def signal_kept(original: Picture, view: Picture) -> float | None:
    """Pearson's correlation of the pixels with the original's, -1..1; None where either image is constant."""
    return pearson(original, view)
