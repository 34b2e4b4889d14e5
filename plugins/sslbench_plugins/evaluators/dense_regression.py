"""Depth estimation by a linear layer on frozen patch tokens: root mean squared error, and share within 25%.

The layer is ridge regression, solved exactly on random pixels of training images, whose tokens are interpolated
bilinearly between the patches' centres; so are its predictions when test pixels are scored, which are then held within
the range of the training depths. Its l2 is chosen on pixels of training images that the fit has not seen.

Where depth is not known (NaN) a pixel does not count. Where it is 0 it counts in the error, and not in the share:
no ratio to 0 is defined.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import model_of, why_not_squarable
from sslbench_plugins.blocks.probes.evenly_spaced import evenly_spaced
from sslbench_plugins.blocks.probes.frozen_tokens import (
    BATCH,
    SampledPixels,
    TokenHead,
    patch_tokens,
    sample_pixels,
    why_no_tokens,
    why_none_held_out,
)
from sslbench_plugins.blocks.probes.metrics import mean_over_images
from sslbench_plugins.blocks.probes.ridge import fit_ridge
from sslbench_plugins.blocks.probes.standardise import Standardiser

MAP = "depth"
L2_VALUES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak"""
WITHIN = 1.25
RMSE, DELTA = "depth_rmse", "depth_delta1"


class DenseRegressionParams(Params):
    """How much the layer is fitted to."""

    pixels: int = param(10_000, "random training pixels that the layer is fitted to", ge=2, unit="pixels")
    images: int = param(2_000, "training images that they are drawn from, at most", ge=2, unit="images")


class DenseRegression:
    """Fits the layer on training pixels, scores every test image once."""

    def __init__(self, params: DenseRegressionParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_no_tokens(data.model)
        if reason:
            return unmeasured(reason)
        pixels = self._training_pixels(data)
        reason = why_not_fittable(pixels)
        return unmeasured(reason) if reason else self._score(data, fit_depth(pixels))

    def _training_pixels(self, data: EvaluationData) -> SampledPixels:
        model, images = model_of(data), evenly_spaced(len(data.train.features), self.params.images)
        return sample_pixels(
            model,
            lambda indices: model.maps("train", MAP, indices),
            torch.isfinite,
            images,
            self.params.pixels,
            data.seed,
        )

    def _score(self, data: EvaluationData, head: DepthHead) -> list[Metric]:
        model = model_of(data)
        batches = []
        for indices in torch.split(torch.arange(len(data.test.features)), BATCH):
            tokens = patch_tokens(model, "test", indices)
            reason = why_not_squarable(tokens.movedim(1, -1), "test token")
            if reason:
                return unmeasured(reason)
            batches.append(torch.stack(scores(model.maps("test", MAP, indices), head(tokens, model.image_size))))
        errors, shares = torch.cat(batches, dim=1)
        no_depth = "no test image has a pixel whose depth is known"
        return [
            mean_over_images(RMSE, errors, no_depth, higher_is_better=False),
            mean_over_images(DELTA, shares, f"{no_depth} and above 0"),
        ]


class DepthHead(NamedTuple):
    """The fitted layer and the range of its predictions."""

    layer: TokenHead
    lowest: float
    highest: float

    def __call__(self, tokens: Tensor, size: int) -> Tensor:
        """``[B, D, rows, cols]`` -> depths ``[B, size, size]``."""
        return self.layer.at_pixels(tokens, size)[:, 0].clamp(self.lowest, self.highest)


def fit_depth(pixels: SampledPixels) -> DepthHead:
    """The layer at the l2 with the least error on the held-out pixels (of equals the strongest), fitted to all."""
    standardise = Standardiser.fitted(pixels.features)
    features, values = standardise(pixels.features), pixels.values.double()
    lowest, highest = float(values.min()), float(values.max())
    weight, bias = fit_ridge(
        features, values, pixels.held_out, L2_VALUES, lambda predicted: predicted.clamp(lowest, highest)
    )
    layer = TokenHead(*standardise.undone(weight[None].float(), bias[None].float()))
    return DepthHead(layer, lowest, highest)


def scores(true: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Of each image, ``[B, S, S]`` -> ``[B]`` twice, float64: root mean squared error over the pixels whose depth is
    known, and the share of those above 0 whose prediction is less than 1.25 times as much or as little. NaN for an
    image without such pixels."""
    known = true.isfinite()
    true = torch.where(known, true, 0.0).double().flatten(1)
    predicted, known = predicted.double().flatten(1), known.flatten(1)
    positive = known & (true > 0)
    within = positive & (predicted < WITHIN * true) & (true < WITHIN * predicted)
    squares = ((predicted - true).square() * known).sum(dim=1) / known.sum(dim=1)
    return squares.sqrt(), within.sum(dim=1).double() / positive.sum(dim=1)


def why_not_fittable(pixels: SampledPixels) -> str:
    """Empty where the depths differ, and some are held out to choose by; else one line."""
    values = pixels.values
    if not len(values):
        return "no pixel of the training maps has a known depth"
    if bool((values == values[0]).all()):
        return f"all training depths are {float(values[0]):g}: there is nothing to tell apart"
    return why_none_held_out(pixels, "known depths") or why_not_squarable(pixels.features, "training token")


def unmeasured(reason: str) -> list[Metric]:
    """Both metrics without a value."""
    return [Metric(RMSE, None, higher_is_better=False, reason=reason), Metric(DELTA, None, reason=reason)]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="dense-regression",
            params=DenseRegressionParams,
            presets={"quick": {"pixels": 5_000, "images": 500}},
            build=lambda params, context: DenseRegression(params),
            needs=frozenset({MAP, "tokens"}),
            uses_model=True,
            headline=RMSE,
            citation="Eigen, Puhrsch and Fergus 2014, Depth Map Prediction from a Single Image (the measures);"
            " Oquab et al. 2023, DINOv2, section 7.4 (a linear layer on frozen patch tokens)",
        )
    ]
