"""A drawn medical scene, five plain augmentations of grey images ``[H, W]`` in 0..255, and what a view keeps of the
anatomy and of the signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.blocks.studies.results import Row

Picture = NDArray[np.float64]
GreyView = Callable[[Picture, RandomState], Picture]
WHITE = 255.0
FACTORS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
EQUAL, CONSTANT = "both halves have the same sum: no half to keep", "a constant image has no correlation"


def scene(rng: RandomState) -> Picture:
    """Float ``[64, 64]`` in 0..255: normal(128, 15) tissue, a bright "heart" on the left, a small "nodule" right."""
    image = rng.normal(128, 15, (64, 64))
    row, col = np.mgrid[:64, :64]
    image[(col - 20) ** 2 + (row - 32) ** 2 <= 10**2] = 200
    image[(col - 45) ** 2 + (row - 30) ** 2 <= 5**2] = 180
    return image.clip(0, WHITE)


def rotation(image: Picture, rng: RandomState) -> Picture:
    """By 10 degrees; the corners are filled with the nearest pixels."""
    return np.asarray(ndimage.rotate(image, 10, reshape=False, mode="nearest"))


def flip(image: Picture, rng: RandomState) -> Picture:
    """Left and right exchanged."""
    return image[:, ::-1]


def elastic(image: Picture, rng: RandomState, alpha: float = 30, sigma: float = 4) -> Picture:
    """Sampled at row + dy, column + dx; the shifts are smoothed noise, dx drawn first, in pixels."""
    dx = ndimage.gaussian_filter(rng.randn(*image.shape), sigma) * alpha
    dy = ndimage.gaussian_filter(rng.randn(*image.shape), sigma) * alpha
    row, col = np.mgrid[: image.shape[0], : image.shape[1]]
    positions = [(row + dy).clip(0, image.shape[0] - 1), (col + dx).clip(0, image.shape[1] - 1)]
    return np.asarray(ndimage.map_coordinates(image, positions, order=1))


def brightness(image: Picture, rng: RandomState | None = None, factor: float = 1.2) -> Picture:
    """Times a factor, clipped."""
    return (image * factor).clip(0, WHITE)


def noise(image: Picture, rng: RandomState) -> Picture:
    """Plus normal noise with a deviation of 5% of white, clipped."""
    return (image + rng.randn(*image.shape) * 0.05 * WHITE).clip(0, WHITE)


VIEWS: dict[str, GreyView] = {view.__name__: view for view in (rotation, flip, elastic, brightness, noise)}


def larger_half(image: Picture) -> str | None:
    """``left`` or ``right`` of the middle column of ``[H, W]``, by the sum of pixels; None where they are equal. Of an
    odd width the middle column belongs to neither. Raises ValueError for what is not two-dimensional or narrower than 2
    pixels."""
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
class Measured:
    """Both tables of one seed."""

    views: Mapping[str, Row]
    """by the augmentation's name"""
    factors: list[Row]


def view_row(original: Picture, view: Picture, name: str) -> Row:
    """What one augmentation keeps. A measure that is undefined is None, and ``reason`` says why."""
    anatomy, signal = anatomy_kept(original, view), signal_kept(original, view)
    reason = "; ".join(filter(None, [EQUAL if anatomy is None else "", CONSTANT if signal is None else ""]))
    return {"augmentation": name, "anatomy_kept": anatomy, "signal_kept": signal, "reason": reason}


def brightness_rows(original: Picture) -> list[Row]:
    """What each of ``FACTORS`` keeps, and the share of pixels that are clipped, 0..1."""
    rows: list[Row] = []
    for factor in FACTORS:
        signal = signal_kept(original, brightness(original, factor=factor))
        clipped = float((original * factor > WHITE).mean())
        reason = CONSTANT if signal is None else ""
        rows.append({"factor": factor, "clipped_share": clipped, "signal_kept": signal, "reason": reason})
    return rows
