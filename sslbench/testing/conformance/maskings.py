"""Maskings: how many patches of each row, and that each row has a draw of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sslbench.contracts.masking import Masking, TargetMasking, masked_count
from sslbench.testing.conformance.augmentations import NOT_REPEATABLE, STANDS_STILL
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ, not_apart, shared_draws, stands_still
from sslbench.testing.conformance.problem import Problems, gpu_problems
from sslbench.testing.pretended_gpu import PretendedGenerator

GRIDS = ((4, 4), (8, 8), (14, 14), (3, 7))
RATIOS = (0.25, 0.5, 0.75, 0.9)
EXACTLY = "``masked_count(rows * cols, ratio)`` in every row, drawn from the generator"
ROWS = 6


def generator(seed: int) -> torch.Generator:
    """One that begins with a seed."""
    return torch.Generator().manual_seed(seed)


def sample(masking: Masking, grid: tuple[int, int], ratio: float, seed: int = 0, batch: int = ROWS) -> Tensor:
    """Masks by a generator of their own."""
    return masking.sample(batch, grid, ratio, generator(seed))


def wanted() -> Iterator[tuple[str, tuple[int, int], float]]:
    """Words, grid and ratio."""
    for grid in GRIDS:
        for ratio in RATIOS:
            yield f"grid {grid[0]} x {grid[1]}, ratio {ratio}", grid, ratio


@check("masking", "A distribution over masks on a grid of patches", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """It has ``sample``."""
    if not isinstance(trial.built, Masking):
        yield f"build returned a {type(trial.built).__name__}, not an object with sample(batch, grid, ratio, generator)"


@check("masking", EXACTLY, "sample", level="bounds", gate=True)
def count_and_dtype(trial: Trial) -> Problems:
    """Of several grids and ratios, of six images and of one."""
    for where, grid, ratio in wanted():
        for batch in (ROWS, 1):
            mask, patches = sample(trial.built, grid, ratio, batch=batch), grid[0] * grid[1]
            if mask.shape != (batch, patches) or mask.dtype != torch.bool:
                yield f"{where}: returned {mask.dtype} {list(mask.shape)}, not bool [{batch}, {patches}]"
            elif not bool((mask.sum(dim=1) == masked_count(patches, ratio)).all()):
                needed = f"not {masked_count(patches, ratio)} in every row"
                yield f"{where}: masks {mask.sum(dim=1).tolist()} patches, {needed}"
            else:
                continue
            return


@check("masking", EXACTLY, "sample", gate=True)
def all_draws_are_the_generators(trial: Trial) -> Problems:
    """Twice with one state, with others in between; and from one that is built again."""
    again = trial.build()
    for where, grid, ratio in wanted():
        first = sample(trial.built, grid, ratio)
        kept = first.clone()
        sample(trial.built, grid, ratio, seed=5)
        if differ(first, kept):
            yield f"{where}: its result changes when it is called again: both share their memory"
        elif differ(kept, sample(trial.built, grid, ratio)):
            yield f"{where}: {NOT_REPEATABLE}"
        elif differ(kept, sample(again, grid, ratio)):
            yield f"{where}: {NOT_REPEATABLE} where it is built again"
        else:
            continue
        return


@check("masking", "**Every row has a draw of its own**", "sample")
def each_row_has_its_own(trial: Trial) -> Problems:
    """Rows differ where masks are random; and no number is drawn once for the batch."""
    masks = [sample(trial.built, (8, 8), 0.5, seed) for seed in range(8)]
    random = any(differ(masks[0], mask) for mask in masks)
    apart = any(differ(mask[:1], mask[row : row + 1]) for mask in masks for row in range(1, ROWS))
    if random and not apart:
        yield f"all {ROWS} rows of a batch have one mask: one draw for the whole batch"
    elif apart and not random:
        yield "its draws are the same whatever the state of the generator is"
    elif random and (shared := shared_draws(lambda batch: sample(trial.built, (8, 8), 0.5, batch=batch))):
        yield f"it draws {', '.join(shared[:3])}, the same for a batch of any size"


@check("masking", "**Every row has a draw of its own**", "sample", level="defaults")
def each_draw_is_new(trial: Trial) -> Problems:
    """The next batch is not masked as this one was, and no two rows of a batch are drawn together."""
    built, size = trial.built, (ROWS, (8, 8), 0.5)
    draws: dict[str, Callable[[torch.Generator], Tensor]] = {"sample": lambda generator: built.sample(*size, generator)}
    if isinstance(built, TargetMasking):
        draws["sample_targets"] = lambda generator: built.sample_targets(*size, generator)[1]
    for where, draw in draws.items():
        if not differ(draw(generator(0)), draw(generator(1))):
            continue
        if line := STANDS_STILL if stands_still(draw) else not_apart(draw):
            yield f"{where}: {line}"
            return


@check("masking", "on the generator's device", "sample")
def on_a_gpu(trial: Trial) -> Problems:
    """On a pretended one."""
    yield from gpu_problems(lambda gpu: [trial.built.sample(ROWS, (8, 8), 0.75, PretendedGenerator())], "sample")


@check("masking", "No patch is in the context and", "sample_targets", level="bounds")
def targets_leave_the_context(trial: Trial) -> Problems:
    """Of a masking that makes several: counts, order, and that they are drawn from the generator."""
    if not isinstance(trial.built, TargetMasking):
        return
    for where, grid, ratio in wanted():
        patches = grid[0] * grid[1]
        first, again = (trial.built.sample_targets(ROWS, grid, ratio, generator(0)) for _ in range(2))
        context, targets = first
        visible = patches - masked_count(patches, ratio)
        if context.shape != (ROWS, visible) or targets.ndim != 3 or len(targets) != ROWS:
            shapes = f"context {list(context.shape)} and targets {list(targets.shape)}"
            yield f"{where}: {shapes}, not [{ROWS}, {visible}] and [{ROWS}, K, M]"
        elif context.dtype != torch.int64 or targets.dtype != torch.int64:
            yield f"{where}: context and targets are {context.dtype} and {targets.dtype}, not torch.int64"
        elif any(int(part.min()) < 0 or int(part.max()) >= patches for part in first if part.numel()):
            yield f"{where}: a patch that is not within 0..{patches - 1}"
        elif any(bool((part.diff(dim=-1) <= 0).any()) for part in first):
            yield f"{where}: its patches are not ascending, each once"
        elif bool((context[:, None, :, None] == targets[:, :, None, :]).any()):
            yield f"{where}: a patch is in the context and in a target"
        elif bool(sample(trial.built, grid, ratio).gather(1, context).any()):
            yield f"{where}: sample must mask what is not in the context of sample_targets"
        elif any(differ(one, other) for one, other in zip(first, again, strict=True)):
            yield f"{where}: {NOT_REPEATABLE}"
        else:
            continue
        return


@check("masking", "on the generator's device", "sample_targets")
def targets_on_a_gpu(trial: Trial) -> Problems:
    """On a pretended one."""
    if isinstance(trial.built, TargetMasking):
        draw = partial(trial.built.sample_targets, ROWS, (8, 8), 0.75)
        yield from gpu_problems(lambda gpu: draw(PretendedGenerator()), "sample_targets")
