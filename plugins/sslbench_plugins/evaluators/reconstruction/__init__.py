"""Hidden patches painted by the method, against what the visible pixels alone say: PSNR at several mask ratios.

Two rivals fill the same patches of the same images: the nearest visible pixel, and straight lines between visible
pixels (``bilinear``). Errors are those of hidden pixels, in units of 0..1, painted ones held within it; PSNR is
``-10 log10`` of an image's mean squared error, and the metric its mean over the images. An error below that of
rounding to 256 levels counts as that much (58.9 dB): no image says more.

Some methods paint patches of unit deviation, which need to be told each patch's own mean and deviation (MAE with
``norm_pix``): those of pixels that nobody should see. This is found out by trying, and told by
``patch_statistics_given``; the rivals are then told them as well, so that what is compared is still alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from sslbench import (
    EvaluatedModel,
    EvaluationData,
    EvaluatorSpec,
    Metric,
    Params,
    UserError,
    build_plugin,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.networks.patches import from_patches, to_patches
from sslbench_plugins.blocks.probes.spread_out import spread_out
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.evaluators.reconstruction.inpainting import bilinear, hidden_pixels, nearest

BATCH = 64
ROUNDING = 1 / 255**2 / 12
"""mean squared error of rounding to 256 levels"""
TOLERANCE = 1e-3
"""of a painted pixel, in normalised units, that rounding may change"""
RIVALS: dict[str, Callable[[Tensor, Tensor, tuple[int, int]], Tensor]] = {"nearest": nearest, "bilinear": bilinear}
GIVEN = "patch_statistics_given"
USUAL_RATIO = 0.75
VARIANCE = 1e-6
"""of a patch in normalised units, which is taken for none"""


def each_once(ratios: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(ratios)) < len(ratios):
        raise ValueError("name each ratio once")
    return ratios


class ReconstructionParams(Params):
    ratios: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...], Several, OneOrMore, AfterValidator(each_once)
    ] = param(
        (0.25, 0.5, 0.75, 0.9), "shares of the patches that are hidden, a+b+c, whatever the method was trained with"
    )
    masking: str = param("random", "what hides them, such as block", names="masking")
    images: int = param(200, "test images, at most", ge=1, unit="images")


class Told(NamedTuple):
    """What a method makes of the hidden pixels that it should not see."""

    pixels: bool
    """it paints otherwise where they are exchanged within their patches"""
    statistics: bool
    """it paints otherwise where they are blank"""


class Reconstruction:
    """Hides, paints, compares: the same patches of the same images for every method."""

    def __init__(self, params: ReconstructionParams) -> None:
        self.params = params
        self.masking: Any = build_plugin("masking", params.masking, "reconstruction: masking")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        model = data.model
        assert model is not None
        grid = model.method.mask_grid
        if grid is None:
            return self._unmeasured("the method has no grid of patches to hide")
        images = spread_out(len(data.test.features), self.params.images)
        whole = len(images) == len(data.test.features)
        metrics: list[Metric] = []
        told: Told | None = None
        for ratio in self.params.ratios:
            try:
                masks = self.masking.sample(len(images), grid, ratio, torch.Generator().manual_seed(data.seed))
            except (ValueError, UserError) as error:
                metrics += [Metric(name, None, "dB", reason=str(error)) for name in names(ratio)]
                continue
            told = told or probe(model, images[:BATCH], masks[:BATCH], grid)
            if told.pixels:
                return self._unmeasured("the method paints by the very pixels that are hidden")
            found = [
                errors(model, part, mask.to(model.device), grid, told.statistics)
                for part, mask in zip(images.split(BATCH), masks.split(BATCH), strict=True)
            ]
            metrics += [
                decibels(name, values, whole)
                for name, values in zip(names(ratio), torch.cat(found, dim=1), strict=True)
            ]
        given = None if told is None else float(told.statistics)
        return [*metrics, Metric(GIVEN, given, higher_is_better=False, reason="" if told else "nothing was painted")]

    def _unmeasured(self, reason: str) -> list[Metric]:
        painted = [name for ratio in self.params.ratios for name in names(ratio)]
        metrics = [Metric(name, None, "dB", reason=reason) for name in painted]
        return [*metrics, Metric(GIVEN, None, higher_is_better=False, reason=reason)]


def names(ratio: float) -> list[str]:
    return [f"{who}_psnr@{ratio:g}" for who in ("reconstruction", *RIVALS)]


@torch.no_grad()
def painted(model: EvaluatedModel, images: Tensor, mask: Tensor) -> Tensor:
    with model.autocast():
        return model.method.reconstruct(images, mask).float()


def probe(model: EvaluatedModel, indices: Tensor, mask: Tensor, grid: tuple[int, int]) -> Told:
    """Paint some images, the same with the pixels of every hidden patch in reverse order, and with none in them."""
    images, mask = model.images("test", indices), mask.to(model.device)
    side = images.shape[-1] // grid[0]
    patches = to_patches(images, side).unflatten(2, (-1, images.shape[1]))
    turned = from_patches(patches.flip(2).flatten(2), side, grid)
    hidden = hidden_pixels(mask, grid, images.shape[-1])[:, None]
    usual = painted(model, images, mask)

    def otherwise(others: Tensor) -> bool:
        change = (painted(model, torch.where(hidden, others, images), mask) - usual).abs()
        return bool((change * hidden > TOLERANCE).any())

    return Told(otherwise(turned), otherwise(torch.zeros_like(images)))


def errors(model: EvaluatedModel, indices: Tensor, mask: Tensor, grid: tuple[int, int], given: bool) -> Tensor:
    """Mean squared error of the hidden pixels, 0..1: float64 ``[1 + rivals, B]``, the method's first."""
    images = model.images("test", indices)
    hidden = hidden_pixels(mask, grid, images.shape[-1])[:, None].expand_as(images)
    filled = [painted(model, images, mask)]
    for fill in RIVALS.values():
        rival = fill(images, mask, grid)
        filled.append(with_statistics(rival, images, images.shape[-1] // grid[0], grid) if given else rival)
    black, white = (model.normalise(torch.full_like(images[:1], level)) for level in (0.0, 1.0))
    true = (images - black) / (white - black)
    rows = []
    for one in filled:
        # Not a number stays not a number.
        squares = (((one - black) / (white - black)).clamp(0, 1) - true).double().square()
        rows.append(torch.where(hidden, squares, 0.0).sum(dim=(1, 2, 3)) / hidden.sum(dim=(1, 2, 3)))
    return torch.stack(rows)


def with_statistics(filled: Tensor, images: Tensor, side: int, grid: tuple[int, int]) -> Tensor:
    """Every patch of ``filled`` moved and stretched to the mean and the deviation of the same patch of ``images``; one
    without deviation only moved."""
    values, true = to_patches(filled, side), to_patches(images, side)
    variance, mean = torch.var_mean(values, dim=-1, keepdim=True)
    wanted, level = torch.var_mean(true, dim=-1, keepdim=True)
    stretch = torch.where(variance > VARIANCE, (wanted / variance.clamp_min(VARIANCE)).sqrt(), 0.0)
    return from_patches((values - mean) * stretch + level, side, grid)


def decibels(name: str, values: Tensor, whole: bool) -> Metric:
    """``values``: the mean squared error of each image, ``[N]``; ``whole``: of all test images."""
    if not bool(values.isfinite().all()):
        bad = int((~values.isfinite()).sum())
        return Metric(name, None, "dB", reason=f"{bad} of {len(values)} painted images hold NaN or infinity")
    ratios = -10 * values.clamp_min(ROUNDING).log10()
    return Metric(name, float(ratios.mean()), "dB", per_image=ratios.cpu() if whole else None)


def headline(params: ReconstructionParams) -> str:
    return names(USUAL_RATIO if USUAL_RATIO in params.ratios else params.ratios[0])[0]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="reconstruction",
            summary=__doc__.partition("\n")[0],
            params=ReconstructionParams,
            presets={"quick": {"images": 100}},
            build=lambda params, context: Reconstruction(params),
            needs=frozenset({"reconstruction"}),
            uses_model=True,
            headline=headline,
            citation="He et al. 2022, Masked Autoencoders, section 3 and figure 5 (mask ratios)",
        )
    ]
