"""Brightness, contrast, saturation, hue and grey of a batch, each sample with its own factor.

Each equals torchvision's functional operation of that name on float images in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def grey(images: Tensor) -> Tensor:
    """Luma, ITU-R 601 as torchvision weighs it: ``[B, 3, H, W]`` -> ``[B, 1, H, W]``."""
    red, green, blue = images.unbind(1)
    return torch.add(red * 0.2989, green, alpha=0.587).add_(blue, alpha=0.114).unsqueeze_(1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean of the grey image."""
    return torch.addcmul((1 - factor) * grey(images).mean(dim=(1, 2, 3), keepdim=True), images, factor).clamp_(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image."""
    return torch.addcmul((1 - factor) * grey(images), images, factor).clamp_(0, 1)


def hue(images: Tensor, factor: Tensor) -> Tensor:
    """Turn the hue by ``factor`` of the full circle, without a round trip through HSV.

    With value V = max, chroma c = V - min and hue h in sixths of the circle, each channel is
    ``V - c * clip(min(k, 4 - k), 0, 1)`` for ``k = (n + h) mod 6`` and n = 5, 3, 1.
    """
    red, green, blue = images.unbind(1)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixths = sixths + 6 * factor.view(-1, 1, 1)
    out = torch.empty_like(images)
    for channel, offset in enumerate((5, 3, 1)):
        k = (sixths + offset).remainder_(6)
        k = torch.minimum(k, 4 - k).clamp_(0, 1)
        torch.addcmul(value, chroma, k, value=-1, out=out[:, channel])
    return out.clamp_(0, 1)


OPERATIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brightness, contrast, saturation, hue)
"""Of colour jitter; a factor of shape ``[B, 1, 1, 1]`` each."""


def jitter(images: Tensor, factors: Tensor, order: Tensor, applied: Tensor) -> Tensor:
    """Colour jitter in place: each sample its own factors in its own order.

    ``factors``: ``[B, 4]`` on the images' device. ``order``: int64 ``[B, 4]`` on the CPU, a permutation of the
    operations per sample. ``applied``: bool ``[B]`` on the CPU. At each of the four places, the samples that share
    an operation are worked on together.
    """
    chosen = applied.nonzero().flatten()
    for place in range(4):
        at_place = order[chosen, place]
        for number, operation in enumerate(OPERATIONS):
            members = chosen[at_place == number].to(images.device, non_blocking=True)
            if len(members):
                factor = factors[members, number].view(-1, 1, 1, 1)
                images[members] = operation(images[members], factor)
    return images
