"""A drawn medical scene, and five plain augmentations of grey images ``[H, W]`` in 0..255."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[np.float64]
GreyView = Callable[[Picture, RandomState], Picture]
WHITE = 255.0


def scene(rng: RandomState) -> Picture:
    """Float ``[64, 64]`` in 0..255: normal(128, 15) tissue, a bright "heart" on the left, a small "nodule" right."""
    image = rng.normal(128, 15, (64, 64))
    row, col = np.mgrid[:64, :64]
    image[(col - 20) ** 2 + (row - 32) ** 2 <= 10**2] = 200
    image[(col - 45) ** 2 + (row - 30) ** 2 <= 5**2] = 180
    return image.clip(0, WHITE)


def rotation(image: Picture, rng: RandomState) -> Picture:
    """By 10 degrees; the corners are filled with the nearest pixels."""
    rotated: Picture = ndimage.rotate(image, 10, reshape=False, mode="nearest")
    return rotated


def flip(image: Picture, rng: RandomState) -> Picture:
    """Left and right exchanged."""
    return image[:, ::-1]


def elastic(image: Picture, rng: RandomState, alpha: float = 30, sigma: float = 4) -> Picture:
    """Sampled at row + dy, column + dx; the shifts are smoothed noise, dx drawn first, in pixels."""
    dx = ndimage.gaussian_filter(rng.randn(*image.shape), sigma) * alpha
    dy = ndimage.gaussian_filter(rng.randn(*image.shape), sigma) * alpha
    row, col = np.mgrid[: image.shape[0], : image.shape[1]]
    positions = [(row + dy).clip(0, image.shape[0] - 1), (col + dx).clip(0, image.shape[1] - 1)]
    sampled: Picture = ndimage.map_coordinates(image, positions, order=1)
    return sampled


def brightness(image: Picture, rng: RandomState | None = None, factor: float = 1.2) -> Picture:
    """Times a factor, clipped."""
    return (image * factor).clip(0, WHITE)


def noise(image: Picture, rng: RandomState) -> Picture:
    """Plus normal noise with a deviation of 5% of white, clipped."""
    return (image + rng.randn(*image.shape) * 0.05 * WHITE).clip(0, WHITE)


VIEWS: dict[str, GreyView] = {
    "rotation": rotation,
    "flip": flip,
    "elastic": elastic,
    "brightness": brightness,
    "noise": noise,
}
