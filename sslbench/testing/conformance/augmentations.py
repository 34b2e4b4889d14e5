"""Augmentations: what views are, that each image has a draw of its own, and that every draw is the generator's."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from sslbench.contracts.augmentation import Augmentation, BatchTransform, DrawnTransform, ViewKind
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ, not_apart, shared_draws, stands_still
from sslbench.testing.conformance.problem import SIZE, Problems, gpu_problems
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu

RETURNS = "float32 ``[B, 3, size, size]`` in 0..1 on the same device, not normalised"
OWN_DRAW = "Every image gets its own random parameters, all of them drawn from the generator"
NOT_REPEATABLE = "not the same for the same generator state"
STANDS_STILL = "two calls in a row with one generator draw the same: it is not moved on, or put back"
WANTED: tuple[tuple[int, ViewKind, int], ...] = ((0, "global", SIZE), (1, "global", SIZE), (2, "local", SIZE // 2))
WANTED += ((9, "local", SIZE - 3), (0, "global", SIZE + 8))
"""index, kind and size of the views that are tried"""
PLACES = ((SIZE, SIZE), (SIZE + 4, SIZE - 3))
"""heights and widths of the images"""


def of_noise(batch: int = 5, height: int = SIZE, width: int = SIZE, seed: int = 0) -> Tensor:
    """uint8 ``[B, 3, H, W]``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, height, width), generator=generator).to(torch.uint8)


def views(trial: Trial, built: Augmentation | None = None) -> Iterator[tuple[str, BatchTransform, int]]:
    """Words for each view that the spec promises, its transform and its size."""
    for index, kind, size in WANTED:
        if kind in trial.spec.view_kinds:
            where = f"view {index} ({kind}{'' if size == SIZE else f', {size} pixels'})"
            yield where, (built or trial.built).view(index, kind, size), size


def call(transform: BatchTransform, images: Tensor, seed: int = 1) -> Tensor:
    """A view by a generator of its own."""
    return transform(images, torch.Generator().manual_seed(seed))


@check("augmentation", "A distribution over single views", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """It has ``view``."""
    if not isinstance(trial.built, Augmentation):
        yield f"build returned a {type(trial.built).__name__}, not an object with view(index, kind, size)"
    if wrong := set(trial.spec.view_kinds) - {"global", "local"}:
        yield f"view_kinds names {', '.join(sorted(map(str, wrong)))}; there are global and local"


@check("augmentation", RETURNS, "view", level="bounds", gate=True)
def shape_and_range(trial: Trial) -> Problems:
    """Of noise, of black and of white images, of one image, square or not."""
    for where, transform, size in views(trial):
        for height, width in PLACES:
            blank = torch.zeros(1, 3, height, width, dtype=torch.uint8)
            for images in (of_noise(5, height, width), blank, blank + 255):
                place = f"{where} of {len(images)} x {height} x {width}"
                if line := wrong_view(call(transform, images), len(images), size):
                    yield f"{place}: {line}"
                    return


def wrong_view(view: Tensor, batch: int, size: int) -> str:
    """What is wrong with a view, if anything."""
    if not isinstance(view, Tensor):
        return f"returned a {type(view).__name__}"
    if view.shape != (batch, 3, size, size) or view.dtype != torch.float32:
        return f"returned {view.dtype} {list(view.shape)}, not float32 [{batch}, 3, {size}, {size}]"
    if not bool(torch.isfinite(view).all()) or view.min() < 0 or view.max() > 1:
        return f"values from {view.min():.3g} to {view.max():.3g}, not within 0..1"
    return "the view needs a gradient" if view.requires_grad else ""


@check("augmentation", "the input is not changed", "view", gate=True)
def input_stays(trial: Trial) -> Problems:
    """Of images that are of the view's size already, and of others."""
    for where, transform, _ in views(trial):
        for height, width in PLACES:
            images = of_noise(5, height, width)
            view = call(transform, images)
            if not torch.equal(images, of_noise(5, height, width)):
                yield f"{where} of {height} x {width}: it changed its input"
                return
            if view.untyped_storage().data_ptr() == images.untyped_storage().data_ptr():
                yield f"{where} of {height} x {width}: the view shares the memory of the images"
                return


@check("augmentation", OWN_DRAW, "view", gate=True)
def all_draws_are_the_generators(trial: Trial) -> Problems:
    """Twice with one state, with others in between; and from one that is built again."""
    again = trial.build()
    for (where, transform, _), (_, other, _) in zip(views(trial), views(trial, again), strict=True):
        images = of_noise()
        first = call(transform, images)
        kept = first.clone()
        call(transform, of_noise(seed=1), seed=2)
        if differ(first, kept):
            yield f"{where}: its result changes when it is called again: both share their memory"
        elif differ(kept, call(transform, images)):
            yield f"{where}: {NOT_REPEATABLE}"
        elif differ(kept, call(other, images)):
            yield f"{where}: {NOT_REPEATABLE} where it is built again"
        else:
            continue
        return


@check("augmentation", OWN_DRAW, "view")
def each_image_has_its_own(trial: Trial) -> Problems:
    """Copies of one image look different where the view is random; and no number is drawn once for the batch."""
    images = of_noise(1).expand(6, -1, -1, -1).contiguous()
    for where, transform, _ in views(trial):
        drawn = [call(transform, images, seed) for seed in range(6)]
        random = any(differ(drawn[0], view) for view in drawn)
        apart = any(differ(view[:1], view[row : row + 1]) for view in drawn for row in range(1, 6))
        if random != apart:
            same = "six copies of one image look the same: one draw for the whole batch"
            yield f"{where}: {same if random else 'its draws are the same whatever the state of the generator is'}"
            return
        if random and (shared := shared_draws(lambda batch, transform=transform: call(transform, of_noise(batch)))):  # type: ignore[misc]
            yield f"{where}: it draws {', '.join(shared[:3])}, the same for a batch of any size"
            return


@check("augmentation", OWN_DRAW, "view", level="defaults")
def each_draw_is_new(trial: Trial) -> Problems:
    """The next batch is not drawn as this one was, and no two images of a batch are drawn together."""
    images = of_noise(1).expand(6, -1, -1, -1).contiguous()
    for where, transform, _ in views(trial):

        def draw(generator: torch.Generator, transform: BatchTransform = transform) -> Tensor:
            return transform(images, generator)

        if not differ(call(transform, images, 0), call(transform, images, 1)):
            continue
        if stands_still(draw):
            yield f"{where}: {STANDS_STILL}"
        elif line := not_apart(draw):
            yield f"{where}: {line}"
        else:
            continue
        return


@check("augmentation", "A distribution over single views", "view")
def of_single_images(trial: Trial) -> Problems:
    """The other images of the batch make no difference."""
    for where, transform, _ in views(trial):
        images, others = of_noise(5) // 2, of_noise(5, seed=3)
        others[:2] = images[:2]
        if (call(transform, images)[:2] - call(transform, others)[:2]).abs().max() > 1e-3:
            yield f"{where}: the view of an image depends on the other images of its batch"
            return


@check("augmentation", "``apply`` with what ``draw`` draws, to the rounding of 8 bits", "view")
def in_two_parts(trial: Trial) -> Problems:
    """Of a transform that can be compiled: both parts are its call, for some of the images as for all."""
    for where, transform, _ in views(trial):
        if not isinstance(transform, DrawnTransform):
            continue
        for height, width in PLACES:
            images, generator = of_noise(6, height, width), torch.Generator().manual_seed(1)
            drawn = transform.draw(6, (height, width), generator)
            view = transform.apply(images, drawn)
            some = transform.apply(images[2:4], tree_map_only(Tensor, itemgetter(slice(2, 4)), drawn))
            if (view - call(transform, images)).abs().mean() > 0.01:
                yield f"{where} of {height} x {width}: apply(images, draw(...)) is another view than its call"
            elif (view[2:4] - some).abs().max() > 1e-3:
                yield f"{where} of {height} x {width}: apply of two images is not what it is of their batch"
            else:
                continue
            return


@check("augmentation", "a generator of that device", "view")
def on_a_gpu(trial: Trial) -> Problems:
    """On a pretended one."""
    for where, transform, _ in views(trial):

        def on_gpu(gpu: PretendedGpu, transform: BatchTransform = transform) -> list[Tensor]:
            images = torch.zeros(5, 3, SIZE, SIZE, dtype=torch.uint8, device=DEVICE)
            return [transform(images, PretendedGenerator())]

        lines = list(gpu_problems(on_gpu, where))
        yield from lines
        if lines:
            return
