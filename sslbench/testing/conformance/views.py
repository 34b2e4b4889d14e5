"""Augmentations and maskings: what they return, and that every random draw is from the generator they were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.augmentation import Augmentation, BatchTransform
from sslbench.contracts.masking import Masking, masked_count
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.devices import gpu_problems
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu

NOT_REPEATABLE = "not the same for the same generator state"
GLOBAL_DRAW = "it drew from torch's global generator instead of the one it was given"


def of_augmentation(spec: Spec, params: Any) -> Problems:
    """Global and local views of square and other images, on the CPU and on a pretended GPU."""
    augmentation = spec.build(params, BuildContext())
    if not isinstance(augmentation, Augmentation):
        yield "build must return an object with view(index, kind, size)"
        return
    for index, kind in ((0, "global"), (1, "global"), (2, "local")):
        for shape in ((SIZE, SIZE), (SIZE + 4, SIZE - 3)):
            where = f"view {index} ({kind}) of {shape[0]} x {shape[1]}"
            transform = augmentation.view(index, kind, SIZE)  # type: ignore[arg-type]
            yield from transform_problems(transform, shape, where)
        on_gpu = call_on_gpu(augmentation.view(index, kind, SIZE))  # type: ignore[arg-type]
        yield from gpu_problems(on_gpu, f"view {index} ({kind})")


def transform_problems(transform: BatchTransform, shape: tuple[int, int], where: str) -> Problems:
    """One view of five images of a height and width."""
    generator = torch.Generator()
    images = torch.randint(0, 256, (5, 3, *shape), generator=generator.manual_seed(0)).to(torch.uint8)
    before, state = images.clone(), torch.get_rng_state()
    view = transform(images, generator.manual_seed(1))
    again = transform(images, generator.manual_seed(1))
    yield from image_problems(view, where)
    if not torch.equal(view, again):
        yield f"{where}: {NOT_REPEATABLE}"
    if not torch.equal(images, before):
        yield f"{where}: it changed its input"
    if not torch.equal(state, torch.get_rng_state()):
        yield f"{where}: {GLOBAL_DRAW}"


def call_on_gpu(transform: BatchTransform) -> Callable[[PretendedGpu], Sequence[Tensor]]:
    """The transform of five images on a pretended GPU."""

    def work(gpu: PretendedGpu) -> Sequence[Tensor]:
        images = torch.zeros(5, 3, SIZE, SIZE, dtype=torch.uint8, device=DEVICE)
        return [transform(images, PretendedGenerator())]

    return work


def image_problems(view: Tensor, where: str) -> Problems:
    """Dtype, shape and range of a view."""
    if view.shape != (5, 3, SIZE, SIZE) or view.dtype != torch.float32:
        yield f"{where}: returned {view.dtype} {list(view.shape)}, not float32 [5, 3, {SIZE}, {SIZE}]"
    elif not bool(torch.isfinite(view).all()) or view.min() < 0 or view.max() > 1:
        yield f"{where}: values from {view.min():.3g} to {view.max():.3g}, not within 0..1"


def of_masking(spec: Spec, params: Any) -> Problems:
    """Masks of several grids and ratios, on the CPU and on a pretended GPU."""
    masking = spec.build(params, BuildContext())
    if not isinstance(masking, Masking):
        yield "build must return an object with sample(batch, grid, ratio, generator)"
        return
    for grid in ((4, 4), (8, 8), (14, 14), (3, 7)):
        for ratio in (0.25, 0.5, 0.75, 0.9):
            yield from mask_problems(masking, grid, ratio)
    yield from gpu_problems(lambda gpu: [masking.sample(6, (8, 8), 0.75, PretendedGenerator())], "sample")


def mask_problems(masking: Masking, grid: tuple[int, int], ratio: float) -> Problems:
    """Six masks of a grid."""
    generator, patches = torch.Generator(), grid[0] * grid[1]
    where = f"grid {grid[0]} x {grid[1]}, ratio {ratio}"
    state = torch.get_rng_state()
    mask = masking.sample(6, grid, ratio, generator.manual_seed(0))
    if mask.shape != (6, patches) or mask.dtype != torch.bool:
        yield f"{where}: returned {mask.dtype} {list(mask.shape)}, not bool [6, {patches}]"
    elif not bool((mask.sum(dim=1) == masked_count(patches, ratio)).all()):
        masked = mask.sum(dim=1).tolist()
        yield f"{where}: masks {masked} patches, not {masked_count(patches, ratio)} in every row"
    if not torch.equal(mask, masking.sample(6, grid, ratio, generator.manual_seed(0))):
        yield f"{where}: {NOT_REPEATABLE}"
    if not torch.equal(state, torch.get_rng_state()):
        yield f"{where}: {GLOBAL_DRAW}"
