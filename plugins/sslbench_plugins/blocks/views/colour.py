"""Brightness, contrast, saturation, hue and grey of a batch, each sample with its own factor, in place.

Each equals torchvision's functional operation of that name on float images in 0..1. Nothing is allocated: a large new
tensor costs more time than the arithmetic on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PLANES = 7
"""planes ``[B, H, W]`` that ``hue`` needs beside the images"""


def scratch_for(images: Tensor) -> Tensor:
    """Memory to work in for ``[B, 3, H, W]`` or fewer of them: float32 ``[PLANES, B, H, W]``."""
    return images.new_empty(PLANES, len(images), *images.shape[2:])


def luma(images: Tensor, out: Tensor) -> Tensor:
    """ITU-R 601 as torchvision weighs it: ``[B, 3, H, W]`` -> ``out``, ``[B, H, W]``."""
    red, green, blue = images.unbind(1)
    return torch.mul(red, 0.2989, out=out).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def grey(images: Tensor, scratch: Tensor) -> Tensor:
    """All three channels become the luma."""
    return images.copy_(luma(images, scratch[0]).unsqueeze(1))


def brightness(images: Tensor, factor: Tensor, scratch: Tensor) -> Tensor:
    """Scale all values."""
    return images.mul_(factor).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor, scratch: Tensor) -> Tensor:
    """Blend with the mean of the luma."""
    mean = luma(images, scratch[0]).mean(dim=(1, 2)).view(-1, 1, 1, 1)
    return images.mul_(factor).add_((1 - factor) * mean).clamp_(0, 1)


def saturation(images: Tensor, factor: Tensor, scratch: Tensor) -> Tensor:
    """Blend with the luma."""
    pale = luma(images, scratch[0]).unsqueeze(1).mul_(1 - factor)
    return images.mul_(factor).add_(pale).clamp_(0, 1)


def hue(images: Tensor, factor: Tensor, scratch: Tensor) -> Tensor:
    """Turn the hue by ``factor`` of the full circle, without a round trip through HSV.

    With value V = max, low L = min, chroma C = V - L and hue t in sixths of the circle, 0 <= t < 6:
    red is ``L + C * clip(|t - 3| - 1, 0, 1)``, green and blue ``L + C * clip(2 - |t - n|, 0, 1)`` for n = 2, 4.
    """
    red, green, blue = images.unbind(1)
    value, low, chroma, share, t, other, most = scratch
    torch.maximum(torch.maximum(red, green, out=value), blue, out=value)
    torch.minimum(torch.minimum(red, green, out=low), blue, out=low)
    torch.sub(value, low, out=chroma)
    # Grey has no hue; any will do, since its chroma is 0.
    torch.clamp(chroma, min=1e-20, out=share).reciprocal_()
    # Where blue is the largest; green; red. A 0 or 1 of its own type is written faster than a choice is made.
    torch.sub(red, green, out=t).mul_(share).add_(4)
    torch.sub(blue, red, out=other).mul_(share).add_(2)
    t.lerp_(other, torch.eq(green, value, out=most))
    torch.sub(green, blue, out=other).mul_(share)
    t.lerp_(other, torch.eq(red, value, out=most))
    t.add_(factor.view(-1, 1, 1), alpha=6)
    t.sub_(torch.mul(t, 1 / 6, out=other).floor_(), alpha=6)
    top = torch.add(value, chroma, out=value)
    bottom = torch.sub(low, chroma, out=share)
    torch.addcmul(bottom, chroma, torch.sub(t, 3, out=other).abs_().clamp_(1, 2), out=red)
    for channel, sixth in ((green, 2), (blue, 4)):
        torch.addcmul(top, chroma, torch.sub(t, sixth, out=other).abs_().clamp_(1, 2), value=-1, out=channel)
    return images.clamp_(0, 1)


Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
OPERATIONS: tuple[Operation, ...] = (brightness, contrast, saturation, hue)
"""of colour jitter, on float32 ``[B, 3, H, W]`` with a factor of shape ``[B, 1, 1, 1]`` and ``scratch_for`` them."""


def jitter(
    images: Tensor, factors: Tensor, order: Sequence[Sequence[int]], chosen: Sequence[int], scratch: Tensor
) -> Tensor:
    """Colour jitter of the ``chosen`` images in place, each with its own factors, ``[B, 4]`` on their device, in its
    own ``order``, a permutation of the operations' numbers. At each turn samples of one operation go together."""
    for turn in range(4):
        sharing: list[list[int]] = [[], [], [], []]
        for sample in chosen:
            sharing[order[sample][turn]].append(sample)
        for number, samples in enumerate(sharing):
            if samples:
                apply_to(images, samples, OPERATIONS[number], factors[:, number], scratch)
    return images


def apply_to(images: Tensor, samples: Sequence[int], operation: Operation, factors: Tensor, scratch: Tensor) -> None:
    """Apply an operation in place to the images whose numbers, ascending, are ``samples``; ``factors``: ``[B]``."""
    if len(samples) in (1, len(images)):
        # Next to each other in memory: nothing is copied.
        here = slice(samples[0], samples[0] + len(samples))
        operation(images[here], factors[here].view(-1, 1, 1, 1), scratch[:, : len(samples)])
        return
    members = torch.tensor(samples, device=images.device)
    part = operation(images[members], factors[members].view(-1, 1, 1, 1), scratch[:, : len(samples)])
    images.index_copy_(0, members, part)
