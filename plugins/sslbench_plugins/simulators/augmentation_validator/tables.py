"""The two measures, what a view keeps of the anatomy and of the signal; and the rows of the two tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.simulators.augmentation_validator.grey_views import WHITE, Picture, brightness

FACTORS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
CONSTANT = "a constant image has no correlation"


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


@dataclass(frozen=True)
class ViewRow:
    """What one augmentation keeps. A measure that is undefined is None, and ``reason`` says why."""

    augmentation: str
    anatomy_kept: bool | None
    signal_kept: float | None
    reason: str


@dataclass(frozen=True)
class BrightnessRow:
    """What one factor keeps, and the share of pixels that are clipped, 0..1."""

    factor: float
    clipped_share: float
    signal_kept: float | None
    reason: str


@dataclass(frozen=True)
class Measured:
    """Both tables of one seed."""

    views: Mapping[str, ViewRow]
    """by the augmentation's name"""
    factors: list[BrightnessRow]


def view_row(original: Picture, view: Picture, name: str) -> ViewRow:
    """Both measures of one view."""
    anatomy, signal = anatomy_kept(original, view), signal_kept(original, view)
    reasons = [
        *(["both halves have the same sum: no half to keep"] if anatomy is None else []),
        *([CONSTANT] if signal is None else []),
    ]
    return ViewRow(name, anatomy, signal, "; ".join(reasons))


def brightness_rows(original: Picture) -> list[BrightnessRow]:
    """One row for each of ``FACTORS``."""
    rows = []
    for factor in FACTORS:
        signal = signal_kept(original, brightness(original, factor=factor))
        clipped = float((original * factor > WHITE).mean())
        rows.append(BrightnessRow(factor, clipped, signal, CONSTANT if signal is None else ""))
    return rows
