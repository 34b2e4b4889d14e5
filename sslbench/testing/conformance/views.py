"""Augmentations and maskings: what they return, and that every random draw is from the generator they were given."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.augmentation import Augmentation, AugmentationSpec, BatchTransform, ViewKind
from sslbench.contracts.masking import Masking, MaskingSpec, TargetMasking, masked_count
from sslbench.contracts.plugin import BuildContext
from sslbench.testing.conformance.problem import SIZE, Problems, gpu_problems
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu

NOT_REPEATABLE = "not the same for the same generator state"
GLOBAL_DRAW = "it drew from torch's global generator instead of the one it was given"


def of_augmentation(spec: AugmentationSpec, params: Any) -> Problems:
    """Global and local views of square and other images, on the CPU and on a pretended GPU."""
    augmentation = spec.build(params, BuildContext())
    if not isinstance(augmentation, Augmentation):
        yield "build must return an object with view(index, kind, size)"
        return
    wanted: list[tuple[int, ViewKind]] = [(0, "global"), (1, "global"), (2, "local")]
    for index, kind in wanted:
        if kind not in spec.view_kinds:
            continue
        where = f"view {index} ({kind})"
        for height, width in ((SIZE, SIZE), (SIZE + 4, SIZE - 3)):
            lines = transform_problems(augmentation.view(index, kind, SIZE), height, width)
            yield from (f"{where} of {height} x {width}: {line}" for line in lines)
        on_gpu = partial(call_on_gpu, augmentation.view(index, kind, SIZE))
        yield from gpu_problems(on_gpu, where)


def call_on_gpu(transform: BatchTransform, gpu: PretendedGpu) -> list[Tensor]:
    """The transform of five images on the pretended GPU."""
    images = torch.zeros(5, 3, SIZE, SIZE, dtype=torch.uint8, device=DEVICE)
    return [transform(images, PretendedGenerator())]


def transform_problems(transform: BatchTransform, height: int, width: int) -> Problems:
    """One view of five images: its dtype, shape and range, and what must be left as it was."""
    generator = torch.Generator()
    images = torch.randint(0, 256, (5, 3, height, width), generator=generator.manual_seed(0)).to(torch.uint8)
    before, state = images.clone(), torch.get_rng_state()
    view = transform(images, generator.manual_seed(1))
    again = transform(images, generator.manual_seed(1))
    if view.shape != (5, 3, SIZE, SIZE) or view.dtype != torch.float32:
        yield f"returned {view.dtype} {list(view.shape)}, not float32 [5, 3, {SIZE}, {SIZE}]"
    elif not bool(torch.isfinite(view).all()) or view.min() < 0 or view.max() > 1:
        yield f"values from {view.min():.3g} to {view.max():.3g}, not within 0..1"
    if not torch.equal(view, again):
        yield NOT_REPEATABLE
    if not torch.equal(images, before):
        yield "it changed its input"
    if not torch.equal(state, torch.get_rng_state()):
        yield GLOBAL_DRAW


def of_masking(spec: MaskingSpec, params: Any) -> Problems:
    """Masks of several grids and ratios, on the CPU and on a pretended GPU."""
    masking = spec.build(params, BuildContext())
    if not isinstance(masking, Masking):
        yield "build must return an object with sample(batch, grid, ratio, generator)"
        return
    for grid in ((4, 4), (8, 8), (14, 14), (3, 7)):
        for ratio in (0.25, 0.5, 0.75, 0.9):
            lines = mask_problems(masking, grid, ratio)
            if isinstance(masking, TargetMasking):
                lines = chain(lines, target_problems(masking, grid, ratio))
            yield from (f"grid {grid[0]} x {grid[1]}, ratio {ratio}: {line}" for line in lines)
    if isinstance(masking, TargetMasking):
        draw = masking.sample_targets
        yield from gpu_problems(lambda gpu: draw(6, (8, 8), 0.75, PretendedGenerator()), "sample_targets")
    yield from gpu_problems(lambda gpu: [masking.sample(6, (8, 8), 0.75, PretendedGenerator())], "sample")


def mask_problems(masking: Masking, grid: tuple[int, int], ratio: float) -> Problems:
    """Six masks of a grid."""
    generator, patches = torch.Generator(), grid[0] * grid[1]
    state = torch.get_rng_state()
    mask = masking.sample(6, grid, ratio, generator.manual_seed(0))
    if mask.shape != (6, patches) or mask.dtype != torch.bool:
        yield f"returned {mask.dtype} {list(mask.shape)}, not bool [6, {patches}]"
    elif not bool((mask.sum(dim=1) == masked_count(patches, ratio)).all()):
        yield f"masks {mask.sum(dim=1).tolist()} patches, not {masked_count(patches, ratio)} in every row"
    if not torch.equal(mask, masking.sample(6, grid, ratio, generator.manual_seed(0))):
        yield NOT_REPEATABLE
    if not torch.equal(state, torch.get_rng_state()):
        yield GLOBAL_DRAW


def target_problems(masking: TargetMasking, grid: tuple[int, int], ratio: float) -> Problems:
    """Contexts and targets of six images."""
    generator, patches = torch.Generator(), grid[0] * grid[1]
    drawn = masking.sample_targets(6, grid, ratio, generator.manual_seed(0))
    (context, targets), visible = drawn, patches - masked_count(patches, ratio)
    if context.shape != (6, visible) or targets.ndim != 3 or len(targets) != 6:
        shapes = f"{list(context.shape)} and {list(targets.shape)}"
        yield f"sample_targets returned {shapes}, not [6, {visible}] and [6, K, M]"
        return
    if any(one.dtype != torch.int64 or bool((one.diff(dim=-1) <= 0).any()) for one in drawn):
        yield "sample_targets: patches must be int64 and ascending"
    elif min(one.min() for one in drawn) < 0 or max(one.max() for one in drawn) >= patches:
        yield f"sample_targets: patches must be within 0..{patches - 1}"
    else:
        outside = torch.ones(6, patches, dtype=torch.bool).scatter_(1, context, False)
        if not bool(outside.gather(1, targets.flatten(1)).all()):
            yield "sample_targets: a patch is in the context and in a target"
        if not torch.equal(outside, masking.sample(6, grid, ratio, generator.manual_seed(0))):
            yield "sample must mask what is not in the context of sample_targets"
    again = masking.sample_targets(6, grid, ratio, generator.manual_seed(0))
    if not all(map(torch.equal, drawn, again)):
        yield f"sample_targets is {NOT_REPEATABLE}"
