"""Masked image reconstruction: PSNR of masked patches at several mask ratios, beside filling in from visible pixels.

Two baselines fill the same patches of the same images: the nearest visible pixel, and straight lines between visible
pixels (``bilinear``). Errors are those of masked pixels, in units of 0..1, reconstructed ones clamped to it; PSNR is
``-10 log10`` of an image's mean squared error, and the metric its mean over the images. An error below that of
rounding to 256 levels counts as that much (58.9 dB): no image says more.

Some methods reconstruct patches of unit deviation and take each patch's own mean and deviation from the image (MAE
with ``norm_pix``): statistics of pixels that should be unknown. Whether a method does is found by trying, and reported
as ``patch_statistics_given``; the baselines are then given them as well, so that what is compared is still alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from sslbench import (
    EvaluatedModel,
    EvaluationData,
    EvaluatorSpec,
    Metric,
    Params,
    Picture,
    UserError,
    build_plugin,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.blocks.pictures.views import unnormalised
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, model_of, unmeasured
from sslbench_plugins.blocks.probes.samples import each_once, evenly_spaced
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.evaluators.reconstruction.interpolation import Grid, bilinear, masked_pixels, nearest
from sslbench_plugins.evaluators.reconstruction.picture import reconstructions

BATCH = 64
ROUNDING = 1 / 255**2 / 12
"""mean squared error of rounding to 256 levels"""
BASELINES: dict[str, Callable[[Tensor, Tensor, Grid], Tensor]] = {"nearest": nearest, "bilinear": bilinear}
GIVEN = "patch_statistics_given"
USUAL_RATIO = 0.75
VARIANCE = 1e-6
"""of a patch in normalised units, below which it counts as constant"""
TOLERANCE = 1e-3
"""of a reconstructed pixel, in normalised units, that rounding may change"""

Ratio = Annotated[float, Field(gt=0, lt=1, strict=True)]


class ReconstructionParams(Params):
    """What is masked, and on how many images."""

    ratios: Annotated[tuple[Ratio, ...], Several, OneOrMore, each_once("ratio")] = param(
        (0.25, 0.5, 0.75, 0.9), "shares of the patches that are masked, a+b+c, whatever the method was trained with"
    )
    masking: str = param("random", "what masks them, such as block", names="masking")
    images: int = param(200, "test images, at most", ge=1, unit="images")


class Reconstruction:
    """Masks, reconstructs, compares: the same patches of the same images for every method."""

    def __init__(self, params: ReconstructionParams) -> None:
        self.params = params
        self.masking: Any = build_plugin("masking", params.masking, "reconstruction: masking")

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        try:
            yield from self._compare(data, model_of(data))
        except Unmeasurable as error:
            names = [name for ratio in self.params.ratios for name in metric_names(ratio)]
            yield from [*unmeasured(names, str(error), "dB"), statistics_given(None, str(error))]
            return
        yield from reconstructions(data, model_of(data), self._masks, reconstruct, self.params.ratios)

    def _masks(self, count: int, ratio: float, model: EvaluatedModel, seed: int) -> Tensor | None:
        """bool ``[count, patches]``, or None where this masking cannot mask so much."""
        try:
            masks: Tensor = self.masking.sample(
                count, model.method.mask_grid, ratio, torch.Generator().manual_seed(seed)
            )
        except (ValueError, UserError):
            return None
        return masks

    def _compare(self, data: EvaluationData, model: EvaluatedModel) -> list[Metric]:
        grid = model.method.mask_grid
        if grid is None:
            raise Unmeasurable("the method has no grid of patches to mask")
        images = evenly_spaced(len(data.test.features), self.params.images)
        metrics: list[Metric] = []
        given: bool | None = None
        for ratio in self.params.ratios:
            try:
                masks = self.masking.sample(len(images), grid, ratio, torch.Generator().manual_seed(data.seed))
            except (ValueError, UserError) as error:
                metrics += unmeasured(metric_names(ratio), str(error), "dB")
                continue
            if given is None:
                given = find_leakage(model, images[:BATCH], masks[:BATCH], grid)
            errors = squared_errors(model, images, masks, grid, given)
            whole = len(images) == len(data.test.features)
            metrics += [decibels(name, row, whole) for name, row in zip(metric_names(ratio), errors, strict=True)]
        return [*metrics, statistics_given(given, "nothing was reconstructed")]


def metric_names(ratio: float) -> list[str]:
    """The method's, then the baselines'."""
    return [f"{source}_psnr@{ratio:g}" for source in ("reconstruction", *BASELINES)]


def find_leakage(model: EvaluatedModel, indices: Tensor, mask: Tensor, grid: Grid) -> bool:
    """Whether the method gets statistics of masked patches: it reconstructs test images ``indices`` otherwise where
    these are blank. Raises Unmeasurable where it does so with their pixels in reverse order. ``mask`` bool
    ``[B, rows * cols]``, True = masked."""
    images, mask = model.images("test", indices), mask.to(model.device)
    side = images.shape[-1] // grid[0]
    patches = torch.unflatten(to_patches(images, side), 2, (-1, images.shape[1]))
    reversed_patches = from_patches(patches.flip(2).flatten(2), side, grid)
    masked = masked_pixels(mask, grid, images.shape[-1])[:, None]
    usual = reconstruct(model, images, mask)

    def matters(replacement: Tensor) -> bool:
        change = (reconstruct(model, torch.where(masked, replacement, images), mask) - usual).abs()
        return bool((change * masked > TOLERANCE).any())

    if matters(reversed_patches):
        raise Unmeasurable("the method reconstructs masked pixels from their own values")
    return matters(torch.zeros_like(images))


@torch.no_grad()
def reconstruct(model: EvaluatedModel, images: Tensor, mask: Tensor) -> Tensor:
    """Normalised float32 ``[B, 3, S, S]`` with the masked patches filled in by the method."""
    with model.autocast():
        return model.method.reconstruct(images, mask).float()


def statistics_given(given: bool | None, reason: str) -> Metric:
    """1 where the method got the mean and deviation of masked patches, else 0; ``reason``: why it is not known."""
    if given is None:
        return Metric(GIVEN, None, higher_is_better=False, reason=reason)
    return Metric(GIVEN, float(given), higher_is_better=False)


def squared_errors(model: EvaluatedModel, indices: Tensor, masks: Tensor, grid: Grid, give_statistics: bool) -> Tensor:
    """Mean squared error of the masked pixels, 0..1: float64 ``[1 + baselines, N]``, the method's first. ``indices``
    int64 ``[N]``; ``masks`` bool ``[N, rows * cols]``; ``give_statistics``: to the baselines as well."""
    batches = []
    for batch, mask in zip(torch.split(indices, BATCH), torch.split(masks, BATCH), strict=True):
        images, mask = model.images("test", batch), mask.to(model.device)
        baselines = [fill(images, mask, grid) for fill in BASELINES.values()]
        if give_statistics:
            baselines = [match_statistics(baseline, images, grid) for baseline in baselines]
        filled = [reconstruct(model, images, mask), *baselines]
        batches.append(errors_of_masked(model, images, filled, masked_pixels(mask, grid, images.shape[-1])))
    return torch.cat(batches, dim=1)


def errors_of_masked(model: EvaluatedModel, images: Tensor, filled: list[Tensor], masked: Tensor) -> Tensor:
    """float64 ``[len(filled), B]``; images, all normalised, float ``[B, 3, S, S]``; ``masked`` bool ``[B, S, S]``."""
    masked = masked[:, None].expand_as(images)
    true = unnormalised(model, images)
    rows = []
    for candidate in filled:
        # Not a number stays not a number.
        squares = (unnormalised(model, candidate).clamp(0, 1) - true).double().square()
        rows.append(torch.where(masked, squares, 0.0).sum(dim=(1, 2, 3)) / masked.sum(dim=(1, 2, 3)))
    return torch.stack(rows)


def match_statistics(filled: Tensor, images: Tensor, grid: Grid) -> Tensor:
    """Every patch of ``filled`` shifted and scaled to the mean and the deviation of the same patch of ``images``, both
    ``[B, C, S, S]``; one without deviation only shifted."""
    side = images.shape[-1] // grid[0]
    values, true = to_patches(filled, side), to_patches(images, side)
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True)
    true_variance, true_mean = torch.var_mean(true, dim=-1, keepdim=True)
    scale = torch.where(variance > VARIANCE, (true_variance / variance.clamp_min(VARIANCE)).sqrt(), 0.0)
    return from_patches((values - mean) * scale + true_mean, side, grid)


def decibels(name: str, errors: Tensor, whole: bool) -> Metric:
    """Mean PSNR; ``errors``: mean squared error of each image, ``[N]``; ``whole``: of all test images."""
    if not bool(errors.isfinite().all()):
        bad = int((~errors.isfinite()).sum())
        return Metric(name, None, "dB", reason=f"{bad} of {len(errors)} reconstructed images hold NaN or infinity")
    psnr = -10 * errors.clamp_min(ROUNDING).log10()
    return Metric(name, float(psnr.mean()), "dB", per_image=psnr.cpu() if whole else None)


def headline(params: ReconstructionParams) -> str:
    """The method's PSNR at the usual ratio, or at the first one."""
    return metric_names(USUAL_RATIO if USUAL_RATIO in params.ratios else params.ratios[0])[0]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="reconstruction",
            params=ReconstructionParams,
            presets={"quick": {"images": 100}},
            build=lambda params, context: Reconstruction(params),
            needs=frozenset({"reconstruction"}),
            uses_model=True,
            headline=headline,
            citation="He et al. 2022, Masked Autoencoders, section 3 and figure 5 (mask ratios)",
        )
    ]
