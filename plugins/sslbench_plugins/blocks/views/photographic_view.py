"""The pipeline that methods share: crop, flip, colour jitter, grey, blur, solarize, per sample and batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from sslbench import centre_view
from sslbench_plugins.blocks.views.blur import blur, blur_image
from sslbench_plugins.blocks.views.colour import grey, jitter, jitter_everywhere, scratch_for
from sslbench_plugins.blocks.views.resized_crop import Boxes, random_boxes, resized_crop, resized_crop_of_image

SMALL = 48
"""pixels on a side up to which matrix products over a batch are faster on a CPU than one image after the other"""
ON_CPU = 384 * 1024
"""values that are worked on at a time, so that they stay in the caches: 128 images of 32 px, two of 224"""
ON_GPU = 1 << 24
"""the same on a GPU, so that the memory to work in stays below 160 MB"""


@dataclass(frozen=True)
class Pipeline:
    """Settings of one view. A probability of 0 leaves a step out."""

    crop_scale: tuple[float, float] = (1.0, 1.0)
    """share of the area"""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """width over height"""
    whole: bool = False
    """the view that features are extracted from (shorter side resized, centre cropped) instead of a random crop"""
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


class ViewParameters(NamedTuple):
    """The random parameters of one view of B images, on the generator's device. Fields without a comment are bool
    ``[B]``: the samples that a step applies to."""

    boxes: Boxes | None
    factors: Tensor
    """float32 ``[B, 4]`` of brightness, contrast, saturation and hue"""
    order: Tensor
    """int64 ``[B, 4]`` of these four, for each sample"""
    sigma: Tensor
    """float32 ``[B]``, pixels"""
    flipped: Tensor
    jittered: Tensor
    greyed: Tensor
    blurred: Tensor
    solarized: Tensor

    def part(self, here: slice) -> ViewParameters:
        """The parameters of a slice of the samples."""
        boxes, *others = self
        boxes = boxes and Boxes(*(values[here] for values in boxes))
        return ViewParameters(boxes, *(values[here] for values in others))


def blur_kernel(size: int) -> int:
    """A tenth of the side, odd, at least 3 (SimCLR's ``random_blur``)."""
    return max(3, size // 10 | 1)


class PhotographicView:
    """One view of a batch: uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1."""

    def __init__(self, pipeline: Pipeline, size: int) -> None:
        self.pipeline = pipeline
        self.size = size
        self.factors = ranges_of_factors(pipeline.strengths)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), (images.shape[2], images.shape[3]), generator))

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> ViewParameters:
        """Random parameters for ``batch`` images of a height and width."""
        p, device = self.pipeline, generator.device
        boxes = None if p.whole else random_boxes(batch, image, p.crop_scale, p.crop_ratio, generator)
        u = torch.rand(14, batch, generator=generator, device=device)
        # Numbers, not tensors: putting one on a GPU waits for it.
        factors = [low + share * width for share, (low, width) in zip(u[4:8], self.factors, strict=True)]
        return ViewParameters(
            boxes,
            factors=torch.stack(factors, dim=1),
            order=u[8:12].argsort(dim=0).T,
            sigma=p.blur_sigma[0] + u[12] * (p.blur_sigma[1] - p.blur_sigma[0]),
            flipped=u[0] < p.flip,
            jittered=u[1] < p.jitter,
            greyed=u[2] < p.grey,
            blurred=u[3] < p.blur,
            solarized=u[13] < p.solarize,
        )

    def apply(self, images: Tensor, params: ViewParameters) -> Tensor:
        """The view of each image with the parameters that were drawn for it."""
        out = torch.empty(len(images), 3, self.size, self.size, device=images.device)
        length = min(len(images), max(1, (ON_GPU if images.is_cuda else ON_CPU) // (3 * self.size**2)))
        scratch = scratch_for(out[:length])
        for start in range(0, len(images), length):
            here = slice(start, start + length)
            part = params.part(here) if length < len(images) else params
            self._crop(images[here], part, out[here])
            colour = self._colour_everywhere if images.is_cuda else self._colour_some
            colour(out[here], part, scratch)
        return out

    def _crop(self, images: Tensor, params: ViewParameters, out: Tensor) -> None:
        """Crop or whole image, resized and mirrored, to ``out``."""
        if params.boxes is None:
            view = centre_view(images, self.size)
            out.copy_(torch.where(params.flipped.view(-1, 1, 1, 1), view.flip(3), view) if self.pipeline.flip else view)
        elif images.is_cuda or max(self.size, *images.shape[2:]) <= SMALL:
            resized_crop(images, params.boxes, self.size, params.flipped, out)
        else:
            boxes = torch.stack(params.boxes, dim=1).tolist()
            for image, box, flip, view in zip(images, boxes, params.flipped.tolist(), out, strict=True):
                resized_crop_of_image(image, box, self.size, flip, view)

    def _colour_some(self, out: Tensor, params: ViewParameters, scratch: Tensor) -> None:
        """Jitter, grey, blur and solarize in place, each on the samples that it applies to."""
        jittered, greyed, blurred, solarized = (
            chosen.nonzero().flatten() for chosen in (params.jittered, params.greyed, params.blurred, params.solarized)
        )
        if len(jittered):
            jitter(out, params.factors, params.order.tolist(), jittered.tolist(), scratch)
        if len(greyed):
            out.index_copy_(0, greyed, grey(out[greyed], scratch[:, : len(greyed)]))
        if len(blurred):
            self._blur(out, params.sigma, blurred)
        if len(solarized):
            out.index_copy_(0, solarized, solarize(out[solarized]))

    def _colour_everywhere(self, out: Tensor, params: ViewParameters, scratch: Tensor) -> None:
        """The same on a GPU: each step is computed for every sample and kept where it applies. The host need not know
        which those are, so nothing waits for the device."""
        p, scratch = self.pipeline, scratch[:, : len(out)]
        if p.jitter:
            jitter_everywhere(out, params.factors, params.order, params.jittered, scratch)
        if p.grey:
            keep(out, params.greyed, grey(out.clone(), scratch))
        if p.blur:
            keep(out, params.blurred, blur(out, params.sigma, blur_kernel(self.size)).clamp_(0, 1))
        if p.solarize:
            keep(out, params.solarized, solarize(out))

    def _blur(self, out: Tensor, sigma: Tensor, members: Tensor) -> None:
        kernel = blur_kernel(self.size)
        if self.size <= SMALL:
            out.index_copy_(0, members, blur(out[members], sigma[members], kernel).clamp_(0, 1))
            return
        sigmas = sigma.tolist()
        for sample in members.tolist():
            blur_image(out[sample], sigmas[sample], kernel).clamp_(0, 1)


class PhotographicViews:
    """An augmentation with one pipeline, or several that the views take in turn."""

    def __init__(self, *pipelines: Pipeline) -> None:
        self.pipelines = pipelines

    def view(self, index: int, kind: str, size: int) -> PhotographicView:
        """Drawn from the pipeline whose turn it is at this index; every kind is drawn alike."""
        return PhotographicView(self.pipelines[index % len(self.pipelines)], size)


def ranges_of_factors(strengths: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """Least factor and width of the range of each jitter, as float32 has them."""
    strength, centre = torch.tensor(strengths), torch.tensor([1.0, 1.0, 1.0, 0.0])
    low = torch.maximum(centre - strength, torch.tensor([0.0, 0.0, 0.0, -0.5]))
    return list(zip(low.tolist(), (centre + strength - low).tolist(), strict=True))


def solarize(images: Tensor) -> Tensor:
    """Values in 0..1, inverted from 0.5 upwards."""
    return torch.where(images >= 0.5, 1 - images, images)


def keep(out: Tensor, chosen: Tensor, changed: Tensor) -> None:
    """Overwrite the ``chosen`` samples, bool ``[B]``, of ``[B, 3, H, W]``."""
    torch.where(chosen.view(-1, 1, 1, 1), changed, out, out=out)
