"""A drawn image, and five plain augmentations of batches of colour images: crop, flip, brightness, blur, greyscale.

Each maps float ``[B, 3, S, S]`` in 0..255 and a RandomState to the same shape and range. A batch of one that needs
no random draw stays a batch of one: every draw would be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Batch = NDArray[np.float64]
View = Callable[[Batch, RandomState, int], Batch]
"""images, generator, number of draws -> views"""
WHITE = 255.0
CROP = 0.75
"""side of the crop, as a share of the image's: 48 of 64 pixels"""
BRIGHTNESS = (0.8, 1.2)
SIGMA = 2.0


def drawn_image() -> Batch:
    """Float ``[3, 64, 64]`` in 0..255: grey, a red disc, a blue rectangle, and last a green diagonal stripe."""
    image = np.full((3, 64, 64), 128.0)
    row, col = np.mgrid[:64, :64]
    for where, colour in (
        ((row - 16) ** 2 + (col - 16) ** 2 <= 10**2, (255, 0, 0)),
        ((row >= 40) & (row <= 55) & (col >= 40) & (col <= 57), (0, 0, 255)),
        (np.abs(row - col) <= 3, (0, 255, 0)),
    ):
        image[:, where] = np.array(colour, dtype=np.float64)[:, None]
    return image


@lru_cache
def bilinear(inputs: int, outputs: int) -> Batch:
    """``[outputs, inputs]``: the matrix that resizes a line of pixels, between the centres of pixels."""
    position = ((np.arange(outputs) + 0.5) * inputs / outputs - 0.5).clip(0, inputs - 1)
    low = np.minimum(position.astype(int), max(inputs - 2, 0))
    matrix = np.zeros((outputs, inputs))
    matrix[np.arange(outputs), low] = 1 - (position - low)
    if inputs > 1:
        matrix[np.arange(outputs), low + 1] += position - low
    return matrix


def crop(images: Batch, rng: RandomState, draws: int) -> Batch:
    """A square of three quarters of the side at a uniform position, resized back."""
    side = images.shape[-1]
    cut = max(1, round(CROP * side))
    top, left = rng.randint(0, side - cut + 1, (2, draws))
    windows = sliding_window_view(images, (cut, cut), axis=(2, 3))
    crops = windows[np.arange(draws) if len(images) > 1 else np.zeros(draws, int), :, top, left]
    matrix = bilinear(cut, side)
    return np.asarray(matrix @ (crops.reshape(-1, cut) @ matrix.T).reshape(draws, 3, cut, side))


def flip(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Left and right exchanged."""
    return images[..., ::-1]


def brightness(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Each image times its own uniform factor, clipped."""
    factors = rng.uniform(*BRIGHTNESS, draws)
    return (images * factors[:, None, None, None]).clip(0, WHITE)


def blur(images: Batch, rng: RandomState, draws: int) -> Batch:
    """Gaussian, each channel by itself."""
    return np.asarray(gaussian_filter1d(gaussian_filter1d(images, SIGMA, axis=2), SIGMA, axis=3))


def greyscale(images: Batch, rng: RandomState, draws: int) -> Batch:
    """The mean of red, green and blue in all three."""
    return np.broadcast_to(images.mean(axis=1, keepdims=True), images.shape)


VIEWS: dict[str, View] = {view.__name__: view for view in (crop, flip, brightness, blur, greyscale)}
