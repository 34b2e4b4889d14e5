"""The pipeline that methods share: crop, flip, colour jitter, grey, blur, solarize, per sample and batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from sslbench import centre_view
from sslbench_plugins.blocks.blur import blur, blur_one
from sslbench_plugins.blocks.colour import grey, jitter, scratch_for
from sslbench_plugins.blocks.resized_crop import Boxes, random_boxes, resized_crop, resized_crop_one

SMALL = 48
"""pixels on a side up to which matrix products over a batch are faster on a CPU than one image after the other"""
ON_CPU = 384 * 1024
"""values that are worked on at a time, so that they stay in the caches: 128 images of 32 px, two of 224"""
ON_GPU = 1 << 24
"""the same on a GPU, so that the room to work in stays below 160 MB"""


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


@dataclass(frozen=True)
class Drawn:
    """The random parameters of one view of B images. Lists name the samples that a step is for."""

    boxes: Boxes | None
    flip: Tensor
    """bool ``[B]``"""
    factors: Tensor
    """float32 ``[B, 4]`` of brightness, contrast, saturation and hue"""
    order: list[list[int]]
    """of these four, for each sample"""
    sigma: Tensor
    """float32 ``[B]``, pixels"""
    jittered: list[int]
    greyed: list[int]
    blurred: list[int]
    solarized: list[int]

    def part(self, here: slice) -> Drawn:
        """The samples of a slice, counted from its start."""

        def those(samples: list[int]) -> list[int]:
            return [sample - here.start for sample in samples if here.start <= sample < here.stop]

        return Drawn(
            None if self.boxes is None else Boxes(*(values[here] for values in self.boxes)),
            self.flip[here],
            self.factors[here],
            self.order[here],
            self.sigma[here],
            *(those(samples) for samples in (self.jittered, self.greyed, self.blurred, self.solarized)),
        )


def blur_kernel(size: int) -> int:
    """A tenth of the side, odd, at least 3 (SimCLR's ``random_blur``)."""
    return max(3, size // 10 | 1)


class PhotographicView:
    """One view: uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1."""

    def __init__(self, pipeline: Pipeline, size: int) -> None:
        self.pipeline = pipeline
        self.size = size

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), (images.shape[2], images.shape[3]), generator))

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> Drawn:
        """Random parameters for ``batch`` images of a height and width, on the generator's device."""
        p, device = self.pipeline, generator.device
        boxes = None if p.whole else random_boxes(batch, image, p.crop_scale, p.crop_ratio, generator)
        u = torch.rand(14, batch, generator=generator, device=device)
        strength = torch.tensor(p.strengths, device=device).unsqueeze(1)
        centre = torch.tensor([1.0, 1.0, 1.0, 0.0], device=device).unsqueeze(1)
        low = torch.maximum(centre - strength, torch.tensor([0.0, 0.0, 0.0, -0.5], device=device).unsqueeze(1))
        factors = (low + u[4:8] * (centre + strength - low)).T
        sigma = p.blur_sigma[0] + u[12] * (p.blur_sigma[1] - p.blur_sigma[0])
        order, steps = [], torch.zeros(4, 0)
        if p.jitter or p.grey or p.blur or p.solarize:
            # The only wait for the device: which samples each step is for.
            known = torch.cat(
                [u[8:12].argsort(dim=0), torch.stack([u[1], u[2], u[3], u[13]]) < self._chances(device)]
            ).cpu()
            order, steps = known[:4].T.tolist(), known[4:]
        jittered, greyed, blurred, solarized = (step.nonzero().flatten().tolist() for step in steps)
        return Drawn(boxes, u[0] < p.flip, factors, order, sigma, jittered, greyed, blurred, solarized)

    def _chances(self, device: torch.device) -> Tensor:
        p = self.pipeline
        return torch.tensor([p.jitter, p.grey, p.blur, p.solarize], device=device).unsqueeze(1)

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The view of each image with the parameters that were drawn for it."""
        out = torch.empty(len(images), 3, self.size, self.size, device=images.device)
        length = min(len(images), max(1, (ON_GPU if images.is_cuda else ON_CPU) // (3 * self.size**2)))
        scratch = scratch_for(out[:length])
        for start in range(0, len(images), length):
            here = slice(start, start + length)
            part = drawn.part(here) if length < len(images) else drawn
            self._crop(images[here], part, out[here])
            self._colour(out[here], part, scratch)
        return out

    def _crop(self, images: Tensor, drawn: Drawn, out: Tensor) -> None:
        """Crop or whole image, resized and mirrored, to ``out``."""
        if drawn.boxes is None:
            view = centre_view(images, self.size)
            out.copy_(torch.where(drawn.flip.view(-1, 1, 1, 1), view.flip(3), view) if self.pipeline.flip else view)
        elif images.is_cuda or max(self.size, *images.shape[2:]) <= SMALL:
            resized_crop(images, drawn.boxes, self.size, drawn.flip, out)
        else:
            boxes = torch.stack(drawn.boxes, dim=1).tolist()
            for image, box, flip, view in zip(images, boxes, drawn.flip.tolist(), out, strict=True):
                resized_crop_one(image, box, self.size, flip, view)

    def _colour(self, out: Tensor, drawn: Drawn, scratch: Tensor) -> None:
        """Jitter, grey, blur and solarize in place."""
        if drawn.jittered:
            jitter(out, drawn.factors, drawn.order, drawn.jittered, scratch)
        if drawn.greyed:
            members = torch.tensor(drawn.greyed, device=out.device)
            out.index_copy_(0, members, grey(out[members], scratch[:, : len(members)]))
        if drawn.blurred:
            self._blur(out, drawn)
        if drawn.solarized:
            members = torch.tensor(drawn.solarized, device=out.device)
            part = out[members]
            out.index_copy_(0, members, torch.where(part >= 0.5, 1 - part, part))

    def _blur(self, out: Tensor, drawn: Drawn) -> None:
        kernel = blur_kernel(self.size)
        if out.is_cuda or self.size <= SMALL:
            members = torch.tensor(drawn.blurred, device=out.device)
            out.index_copy_(0, members, blur(out[members], drawn.sigma[members], kernel).clamp_(0, 1))
            return
        sigmas = drawn.sigma.tolist()
        for sample in drawn.blurred:
            blur_one(out[sample], sigmas[sample], kernel).clamp_(0, 1)
