"""Depth estimation by a linear layer on frozen patch tokens: root mean squared error, and share within 25%.

The layer is ridge regression, solved exactly on random pixels of training images, whose tokens are interpolated
bilinearly between the patches' centres; so are its predictions when test pixels are scored, which are then held within
the range of the training depths. Its l2 is chosen on pixels of training images that the fit has not seen.

Where depth is not known (NaN) a pixel does not count. Where it is 0 it counts in the error, and not in the share:
no ratio to 0 is defined.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, Picture, hookimpl, param
from sslbench_plugins.blocks.pictures.maps import value_maps
from sslbench_plugins.blocks.pictures.views import shown_rows
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, mean_over_images, model_of, unmeasured
from sslbench_plugins.blocks.probes.frozen_tokens import SampledPixels, TokenHead, sample_pixels
from sslbench_plugins.blocks.probes.linear_maps import Standardiser, fit_ridge
from sslbench_plugins.blocks.probes.samples import evenly_spaced

MAP = "depth"
L2_VALUES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak"""
WITHIN = 1.25
RMSE, DELTA = "depth_rmse", "depth_delta1"
NO_DEPTH = "no test image has a pixel whose depth is known"


class DenseRegressionParams(Params):
    """How much the layer is fitted to."""

    pixels: int = param(10_000, "random training pixels that the layer is fitted to", ge=2, unit="pixels")
    images: int = param(2_000, "training images that they are drawn from, at most", ge=2, unit="images")


class DenseRegression:
    """Fits the layer on training pixels, scores every test image once."""

    def __init__(self, params: DenseRegressionParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        try:
            model, images = model_of(data), evenly_spaced(len(data.train.features), self.params.images)
            read = partial(model.maps, "train", MAP)
            pixels = sample_pixels(model, read, torch.isfinite, images, self.params.pixels, data.seed)
            head = fit_depth(pixels)
            predicted = head.on_test_images(data)
            batches = [torch.stack(scores(model.maps("test", MAP, rows), depths[:, 0])) for rows, depths in predicted]
        except Unmeasurable as error:
            reason = str(error)
            yield from [Metric(RMSE, None, higher_is_better=False, reason=reason), *unmeasured([DELTA], reason)]
            return
        errors, shares = torch.cat(batches, dim=1)
        yield mean_over_images(RMSE, errors, NO_DEPTH, higher_is_better=False)
        yield mean_over_images(DELTA, shares, f"{NO_DEPTH} and above 0")
        if data.shown is not None:
            shown = shown_rows(len(data.test.features))
            yield value_maps(model, shown, model.maps("test", MAP, shown), head.at_test_images(model, shown)[:, 0])


def fit_depth(pixels: SampledPixels) -> TokenHead:
    """The layer at the l2 with the least error on the held-out pixels (of equals the strongest), fitted to all.
    Raises Unmeasurable where the depths do not differ, or none is held out."""
    if not len(pixels.values):
        raise Unmeasurable("no pixel of the training maps has a known depth")
    lowest, highest = float(pixels.values.min()), float(pixels.values.max())
    if lowest == highest:
        raise Unmeasurable(f"all training depths are {lowest:g}: there is nothing to tell apart")
    pixels.require_fittable("known depths")
    standardise = Standardiser.fitted(pixels.features)
    features, values = standardise(pixels.features), pixels.values.double()
    weight, bias = fit_ridge(features, values, pixels.held_out, L2_VALUES, lambda depth: depth.clamp(lowest, highest))
    return TokenHead(*standardise.undone(weight[None].float(), bias[None].float()), lowest, highest)


def scores(true: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Of each image, ``[B, S, S]`` -> float64 ``[B]`` twice, NaN without such pixels: root mean squared error where
    depth is known, and the share of depths above 0 that the prediction is less than 1.25 times off, up or down."""
    known = true.isfinite()
    true = torch.where(known, true, 0.0).double().flatten(1)
    predicted, known = predicted.double().flatten(1), known.flatten(1)
    positive = known & (true > 0)
    within = positive & (predicted < WITHIN * true) & (true < WITHIN * predicted)
    squares = ((predicted - true).square() * known).sum(dim=1) / known.sum(dim=1)
    return squares.sqrt(), within.sum(dim=1).double() / positive.sum(dim=1)


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
