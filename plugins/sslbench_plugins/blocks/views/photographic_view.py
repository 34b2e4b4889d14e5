"""The pipeline that methods share: crop, flip, colour jitter, grey, blur, solarize, per sample and batched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from sslbench import centre_view
from sslbench_plugins.blocks.views.blur import blur, blur_by_taps, blur_image
from sslbench_plugins.blocks.views.colour import grey, jitter, luma, scratch_for
from sslbench_plugins.blocks.views.resized_crop import (
    Boxes,
    BoxRange,
    crop_by_taps,
    numbers_of_boxes,
    random_boxes,
    resized_crop,
    resized_crop_of_image,
)
from sslbench_plugins.blocks.views.stored import stored
from sslbench_plugins.blocks.views.whole_batch import Planes, jitter_everywhere, jitter_planes, luma_of, turns_of

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


class Drawn(NamedTuple):
    """The random numbers of a view of B images."""

    boxes: Tensor | None
    """float64 ``[B, 4, ATTEMPTS]`` in 0..1; None where the view is no crop"""
    rest: Tensor
    """float32 ``[B, 14]`` in 0..1"""

    def part(self, here: slice) -> Drawn:
        """The numbers of a slice of the samples."""
        return Drawn(None if self.boxes is None else self.boxes[here], self.rest[here])


class ViewParameters(NamedTuple):
    """The random parameters of one view of B images. Fields without a comment are bool ``[B]``: the samples that a step
    applies to."""

    boxes: Boxes | None
    factors: tuple[Tensor, ...]
    """of brightness, contrast, saturation and hue, float32 ``[B]`` each"""
    places: Tensor
    """float32 ``[B, 4]``: these four are applied in the order of their places, the smallest first"""
    sigma: Tensor
    """float32 ``[B]``, pixels"""
    flipped: Tensor
    jittered: Tensor
    greyed: Tensor
    blurred: Tensor
    solarized: Tensor

    @property
    def order(self) -> Tensor:
        """int64 ``[B, 4]``: the four operations as they are applied."""
        return self.places.argsort(dim=1)

    def part(self, here: slice) -> ViewParameters:
        """The parameters of a slice of the samples."""
        boxes, factors, *others = self
        boxes = boxes and Boxes(*(values[here] for values in boxes))
        return ViewParameters(boxes, tuple(factor[here] for factor in factors), *(values[here] for values in others))


def blur_kernel(size: int) -> int:
    """A tenth of the side, odd, at least 3 (SimCLR's ``random_blur``)."""
    return max(3, size // 10 | 1)


@dataclass(frozen=True)
class PhotographicView:
    """One view of a batch: uint8 ``[B, 3, H, W]`` -> float32 ``[B, 3, size, size]`` in 0..1."""

    pipeline: Pipeline
    size: int
    ranges: tuple[tuple[float, float], ...] = field(init=False, compare=False)
    boxes: BoxRange = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranges", ranges_of_factors(self.pipeline.strengths))
        object.__setattr__(self, "boxes", BoxRange(self.pipeline.crop_scale, self.pipeline.crop_ratio))

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        drawn = self.draw(len(images), (images.shape[2], images.shape[3]), generator)
        if images.is_cuda:
            length = max(1, ON_GPU // (3 * self.size**2))
            return in_parts(self.apply, images, drawn, length)
        return self.apply_to_samples(images, self.parameters(drawn, (images.shape[2], images.shape[3])))

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> Drawn:
        """Random numbers for ``batch`` images of a height and width, on the generator's device."""
        boxes = None if self.pipeline.whole else numbers_of_boxes(batch, generator)
        rest = torch.rand(14, batch, generator=generator, device=generator.device)
        return Drawn(boxes, rest.T)

    def parameters(self, drawn: Drawn, image: tuple[int, int]) -> ViewParameters:
        """What the numbers mean for images of a height and width."""
        p, u = self.pipeline, drawn.rest.unbind(1)
        boxes = None if drawn.boxes is None else random_boxes(drawn.boxes, image, self.boxes)
        # Numbers, not tensors: putting one on a GPU waits for it.
        factors = [low + share * width for share, (low, width) in zip(u[4:8], self.ranges, strict=True)]
        return ViewParameters(
            boxes,
            factors=tuple(factors),
            places=drawn.rest[:, 8:12],
            sigma=p.blur_sigma[0] + u[12] * (p.blur_sigma[1] - p.blur_sigma[0]),
            flipped=u[0] < p.flip,
            jittered=u[1] < p.jitter,
            greyed=u[2] < p.grey,
            blurred=u[3] < p.blur,
            solarized=u[13] < p.solarize,
        )

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The view of each image by the numbers that were drawn for it; operations on tensors alone, which wait for no
        device and can be compiled."""
        p, params = self.pipeline, self.parameters(drawn, (images.shape[2], images.shape[3]))
        if params.boxes is None:
            view = centre_view(images, self.size)
            view = torch.where(of_samples(params.flipped), view.flip(3), view) if p.flip else view
        else:
            view = crop_by_taps(images, params.boxes, self.size, params.flipped)
        keep = stored if self.size > SMALL and not view.is_cuda else same
        if p.jitter or p.grey:
            view = self._colour_everywhere(keep(view), params)
        if p.blur:
            view = keep(view)
            blurred = blur_by_taps(view, params.sigma, blur_kernel(self.size)).clamp(max=1)
            view = torch.where(of_samples(params.blurred), blurred, view)
        if p.solarize:
            view = torch.where(of_samples(params.solarized), solarize(view), view)
        return view

    def _colour_everywhere(self, view: Tensor, params: ViewParameters) -> Tensor:
        """Jitter and grey of ``[B, 3, H, W]``."""
        p, neutral = self.pipeline, (1.0, 1.0, 1.0, 0.0)
        if p.jitter:
            factors = [
                torch.where(params.jittered, factor, same) for factor, same in zip(params.factors, neutral, strict=True)
            ]
            turns = turns_of(factors, params.places)
        if not torch.compiler.is_compiling():
            scratch = scratch_for(view)
            view = jitter_everywhere(view, turns, scratch) if p.jitter else view
            pale = luma(view, scratch[0]).unsqueeze(1)
            return torch.where(of_samples(params.greyed), pale, view) if p.grey else view
        planes: Planes = view.unbind(1)
        planes = jitter_planes(planes, turns) if p.jitter else planes
        if p.grey:
            pale = luma_of(planes)
            planes = [torch.where(params.greyed.view(-1, 1, 1), pale, plane) for plane in planes]
        return torch.stack(list(planes), dim=1)

    def apply_to_samples(self, images: Tensor, params: ViewParameters) -> Tensor:
        """``apply`` for a CPU without a compiler: each step works on the samples that it is for. A large crop is
        rounded to 8 bits after its resize, as torchvision rounds it."""
        out = torch.empty(len(images), 3, self.size, self.size)
        length = min(len(images), max(1, ON_CPU // (3 * self.size**2)))
        scratch = scratch_for(out[:length])
        for start in range(0, len(images), length):
            here = slice(start, start + length)
            part = params.part(here) if length < len(images) else params
            self._crop(images[here], part, out[here])
            self._colour_some(out[here], part, scratch)
        return out

    def _crop(self, images: Tensor, params: ViewParameters, out: Tensor) -> None:
        """Crop or whole image, resized and mirrored, to ``out``."""
        if params.boxes is None:
            view = centre_view(images, self.size)
            out.copy_(torch.where(params.flipped.view(-1, 1, 1, 1), view.flip(3), view) if self.pipeline.flip else view)
        elif max(self.size, *images.shape[2:]) <= SMALL:
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
            jitter(out, torch.stack(params.factors, dim=1), params.order.tolist(), jittered.tolist(), scratch)
        if len(greyed):
            out.index_copy_(0, greyed, grey(out[greyed], scratch[:, : len(greyed)]))
        if len(blurred):
            self._blur(out, params.sigma, blurred)
        if len(solarized):
            out.index_copy_(0, solarized, solarize(out[solarized]))

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


def ranges_of_factors(strengths: tuple[float, float, float, float]) -> tuple[tuple[float, float], ...]:
    """Least factor and width of the range of each jitter, as float32 has them."""
    strength, centre = torch.tensor(strengths), torch.tensor([1.0, 1.0, 1.0, 0.0])
    low = torch.maximum(centre - strength, torch.tensor([0.0, 0.0, 0.0, -0.5]))
    return tuple(zip(low.tolist(), (centre + strength - low).tolist(), strict=True))


def solarize(images: Tensor) -> Tensor:
    """Values in 0..1, inverted from 0.5 upwards."""
    return torch.where(images >= 0.5, 1 - images, images)


def same(view: Tensor) -> Tensor:
    """As ``stored`` where a pixel is made anew faster than it is read again."""
    return view


def of_samples(chosen: Tensor) -> Tensor:
    """``[B]`` beside ``[B, 3, H, W]``."""
    return chosen.view(-1, 1, 1, 1)


def in_parts(apply: Callable[[Tensor, Drawn], Tensor], images: Tensor, drawn: Drawn, length: int) -> Tensor:
    """At most ``length`` images at a time."""
    if len(images) <= length:
        return apply(images, drawn)
    parts = [slice(start, start + length) for start in range(0, len(images), length)]
    return torch.cat([apply(images[part], drawn.part(part)) for part in parts])
