"""Augmentations and maskings: what they answer, and that every random draw is of the generator they were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.augmentation import Augmentation, BatchTransform
from sslbench.contracts.masking import Masking, masked_count
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.devices import of_gpu
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.pretended_gpu import DEVICE, PretendedGenerator, PretendedGpu


def of_augmentation(spec: Spec, params: Any) -> Problems:
    augmentation = spec.build(params, BuildContext())
    if not isinstance(augmentation, Augmentation):
        yield "build must answer an object with view(index, kind, size)"
        return
    generator = torch.Generator()
    for index, kind in ((0, "global"), (1, "global"), (2, "local")):
        for shape in ((SIZE, SIZE), (SIZE + 4, SIZE - 3)):
            images = torch.randint(0, 256, (5, 3, *shape), generator=generator.manual_seed(0)).to(torch.uint8)
            before, state = images.clone(), torch.get_rng_state()
            transform = augmentation.view(index, kind, SIZE)  # type: ignore[arg-type]
            out = transform(images, generator.manual_seed(1))
            again = transform(images, generator.manual_seed(1))
            where = f"view {index} ({kind}) of {shape[0]} x {shape[1]}"
            yield from image_problems(out, where)
            if not torch.equal(out, again):
                yield f"{where}: not the same for the same generator state"
            if not torch.equal(images, before):
                yield f"{where}: it changed its input"
            if not torch.equal(state, torch.get_rng_state()):
                yield f"{where}: it drew from torch's global generator instead of the one it was given"
        there = view_there(augmentation.view(index, kind, SIZE))  # type: ignore[arg-type]
        yield from of_gpu(there, f"view {index} ({kind})")


def view_there(transform: BatchTransform) -> Callable[[PretendedGpu], Sequence[Tensor]]:
    def work(gpu: PretendedGpu) -> Sequence[Tensor]:
        images = torch.zeros(5, 3, SIZE, SIZE, dtype=torch.uint8, device=DEVICE)
        return [transform(images, PretendedGenerator())]

    return work


def image_problems(out: Tensor, where: str) -> Problems:
    if out.shape != (5, 3, SIZE, SIZE) or out.dtype != torch.float32:
        yield f"{where}: answered {out.dtype} {list(out.shape)}, not float32 [5, 3, {SIZE}, {SIZE}]"
    elif not bool(torch.isfinite(out).all()) or out.min() < 0 or out.max() > 1:
        yield f"{where}: values from {out.min():.3g} to {out.max():.3g}, not within 0..1"


def of_masking(spec: Spec, params: Any) -> Problems:
    masking = spec.build(params, BuildContext())
    if not isinstance(masking, Masking):
        yield "build must answer an object with sample(batch, grid, ratio, generator)"
        return
    generator = torch.Generator()
    for grid in ((4, 4), (8, 8), (14, 14), (3, 7)):
        for ratio in (0.25, 0.5, 0.75, 0.9):
            patches = grid[0] * grid[1]
            where = f"grid {grid[0]} x {grid[1]}, ratio {ratio}"
            state = torch.get_rng_state()
            mask = masking.sample(6, grid, ratio, generator.manual_seed(0))
            if mask.shape != (6, patches) or mask.dtype != torch.bool:
                yield f"{where}: answered {mask.dtype} {list(mask.shape)}, not bool [6, {patches}]"
            elif not bool((mask.sum(dim=1) == masked_count(patches, ratio)).all()):
                hidden = mask.sum(dim=1).tolist()
                yield f"{where}: hides {hidden} patches, not {masked_count(patches, ratio)} in every row"
            if not torch.equal(mask, masking.sample(6, grid, ratio, generator.manual_seed(0))):
                yield f"{where}: not the same for the same generator state"
            if not torch.equal(state, torch.get_rng_state()):
                yield f"{where}: it drew from torch's global generator instead of the one it was given"
    yield from of_gpu(lambda gpu: [masking.sample(6, (8, 8), 0.75, PretendedGenerator())], "sample")
