"""Gaussian blur of a batch, each sample with its own sigma: as two matrix products, or as shifted sums if large."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sslbench_plugins.blocks.views.stored import stored

REACH = 5.5
"""in sigmas: a tap beyond is below 3e-7 of the middle one, and left out of shifted sums. Weights of far taps would be
numbers so small that processors take four times as long for a product with one."""

FAR = 7
"""taps from which on a kernel has some that are far in sigmas, and weights are best kept in memory"""


def blur_weights(sigma: Tensor, kernel: int, size: int) -> Tensor:
    """float32 ``[B, size, size]``: a Gaussian of ``kernel`` taps, odd and below ``2 * size``, at every pixel, mirrored
    at the borders. Equal to torchvision's ``gaussian_blur`` in one dimension (reflect padding)."""
    half = kernel // 2
    taps = torch.arange(-half, half + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (taps / sigma.view(-1, 1)).square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    source = (torch.arange(size, device=sigma.device).view(-1, 1) + taps).abs()
    source = (size - 1) - ((size - 1) - source).abs()
    matrix = torch.zeros(len(sigma), size, size, device=sigma.device)
    return matrix.scatter_add_(2, source.expand(len(sigma), -1, -1), weights.unsqueeze(1).expand(-1, size, -1))


def blur(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Blur ``[B, C, S, S]``, each sample with its sigma, ``[B]`` in pixels -> the same shape."""
    weights = blur_weights(sigma, kernel, images.shape[-1]).unsqueeze(1)
    return weights @ images @ weights.transpose(2, 3)


def blur_by_taps(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """``blur`` as sums of shifted images, which a compiler fuses; on a GPU no product whose precision is a setting."""
    weights = tap_weights(sigma, kernel)
    weights = weights if kernel < FAR else stored(weights)
    for axis in (2, 3):
        images = weighted_shifts(images, weights.view(*weights.shape, 1, 1, 1), axis)
    return images


def tap_weights(sigma: Tensor, kernel: int) -> Tensor:
    """A Gaussian of ``kernel`` taps, its middle one and those to one side: float32 ``[B, kernel // 2 + 1]``."""
    taps, sigma = torch.arange(kernel // 2 + 1, device=sigma.device), sigma.view(-1, 1)
    weights = torch.exp(-0.5 * (taps / sigma).square())
    if kernel >= FAR:
        weights = torch.where(taps <= REACH * sigma + 1, weights, 0.0)
    return weights / (2 * weights.sum(dim=1, keepdim=True) - 1)


def weighted_shifts(images: Tensor, weights: Tensor, axis: int) -> Tensor:
    """``sum of weights[:, |d|] * images shifted by d``, mirrored at the borders; ``[B, taps, 1, 1, 1]``."""
    size, half = images.shape[axis], weights.shape[1] - 1
    if images.is_cuda:
        longer = functional.pad(stored(images), (0, 0, half, half) if axis == 2 else (half, half, 0, 0), mode="reflect")
    else:
        # A compiler for CPUs makes no vectors of mirrored positions.
        ends = images.narrow(axis, 1, half).flip(axis), images.narrow(axis, size - 1 - half, half).flip(axis)
        longer = stored(torch.cat([ends[0], images, ends[1]], dim=axis))
    out = longer.narrow(axis, half, size) * weights[:, 0]
    for distance in range(1, half + 1):
        both = longer.narrow(axis, half - distance, size) + longer.narrow(axis, half + distance, size)
        out = torch.addcmul(out, both, weights[:, distance])
    return out


def blur_image(image: Tensor, sigma: float, kernel: int) -> Tensor:
    """Blur one image ``[C, S, S]`` in place, equal to ``blur`` to 1e-6: a sum of shifted copies, of no more taps than
    matter. At 224 px a third of the time of the matrix products, whose cost grows with the cube of the side."""
    half = kernel // 2
    taps = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(half + 1)]
    total = 2 * sum(taps) - taps[0]
    reach = min(half, int(REACH * sigma) + 1)
    weights = [tap / total for tap in taps[: reach + 1]]
    for axis in (1, 2):
        sum_of_shifts(image, mirrored(image, reach, axis), weights, axis)
    return image


def mirrored(image: Tensor, reach: int, axis: int) -> Tensor:
    """``[C, H, W]`` made longer by ``reach`` at both ends of ``axis``, mirrored at the first and the last pixel."""
    size = image.shape[axis]
    shape = list(image.shape)
    shape[axis] += 2 * reach
    out = image.new_empty(shape)
    out.narrow(axis, reach, size).copy_(image)
    out.narrow(axis, 0, reach).copy_(image.narrow(axis, 1, reach).flip(axis))
    out.narrow(axis, reach + size, reach).copy_(image.narrow(axis, size - 1 - reach, reach).flip(axis))
    return out


def sum_of_shifts(out: Tensor, longer: Tensor, weights: list[float], axis: int) -> None:
    """Write ``sum of weights[|d|] * longer shifted by d`` to ``out``."""
    size, reach = out.shape[axis], len(weights) - 1
    torch.mul(longer.narrow(axis, reach, size), weights[0], out=out)
    for distance in range(1, reach + 1):
        for start in (reach - distance, reach + distance):
            out.add_(longer.narrow(axis, start, size), alpha=weights[distance])
