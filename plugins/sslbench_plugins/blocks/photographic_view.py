"""The pipeline that methods share: crop, flip, colour jitter, grey, blur, solarize, per sample and batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from sslbench import centre_view
from sslbench_plugins.blocks.blur import blur
from sslbench_plugins.blocks.colour import grey, jitter
from sslbench_plugins.blocks.resized_crop import random_boxes, resized_crop


@dataclass(frozen=True)
class Pipeline:
    """Settings of one view. A probability of 0 leaves a step out."""

    crop_scale: tuple[float, float] = (1.0, 1.0)
    """share of the area"""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """width over height"""
    whole: bool = False
    """the judging view (shorter side resized, centre cropped) in the place of a random crop"""
    flip: float = 0.0
    jitter: float = 0.0
    strengths: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """of brightness, contrast and saturation: factor uniform in 1 -/+ strength, not below 0; of hue: shift uniform
    in -/+ strength of the circle"""
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """pixels"""
    solarize: float = 0.0
    """probability that values of 0.5 and above are inverted"""


def blur_kernel(size: int) -> int:
    """A tenth of the side, odd, at least 3 (SimCLR's ``random_blur``)."""
    return max(3, size // 10 | 1)


class PhotographicView:
    """One view: uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1."""

    def __init__(self, pipeline: Pipeline, size: int) -> None:
        self.pipeline = pipeline
        self.size = size

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        p, batch, device = self.pipeline, len(images), images.device
        image = (images.shape[2], images.shape[3])
        boxes = None if p.whole else random_boxes(batch, image, p.crop_scale, p.crop_ratio, generator)
        u = torch.rand(14 if p.solarize else 13, batch, generator=generator, device=device)
        flip = u[0] < p.flip
        if boxes is None:
            out = centre_view(images, self.size)
            out = torch.where(flip.view(-1, 1, 1, 1), out.flip(3), out) if p.flip else out
        else:
            out = resized_crop(images, boxes, self.size, flip)
        if not (p.jitter or p.grey or p.blur or p.solarize):
            return out
        strength = torch.tensor(p.strengths, device=device).unsqueeze(1)
        centre = torch.tensor([1.0, 1.0, 1.0, 0.0], device=device).unsqueeze(1)
        low = torch.maximum(centre - strength, torch.tensor([0.0, 0.0, 0.0, -0.5], device=device).unsqueeze(1))
        factors = (low + u[4:8] * (centre + strength - low)).T
        order = u[8:12].argsort(dim=0)
        # The only wait for the device: which samples each step is for.
        steps = torch.stack([u[1] < p.jitter, u[2] < p.grey, u[3] < p.blur]).cpu()
        if p.jitter:
            out = jitter(out, factors, order.T.cpu(), steps[0])
        if p.grey:
            members = steps[1].nonzero().flatten().to(device)
            out[members] = grey(out[members]).expand(-1, 3, -1, -1)
        if p.blur:
            members = steps[2].nonzero().flatten().to(device)
            sigma = p.blur_sigma[0] + u[12] * (p.blur_sigma[1] - p.blur_sigma[0])
            out[members] = blur(out[members], sigma[members], blur_kernel(self.size)).clamp_(0, 1)
        if p.solarize:
            inverted = (u[13] < p.solarize).view(-1, 1, 1, 1) & (out >= 0.5)
            out = torch.where(inverted, 1 - out, out)
        return out
