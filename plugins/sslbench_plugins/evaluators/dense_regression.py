"""Depth by a linear layer on frozen patch tokens: error and share within 25%.

The layer is ridge regression, solved exactly on random pixels of training images, whose tokens are interpolated
bilinearly between the patches' centres; so are its answers when test pixels are scored, which are then held within
the range of the training depths. Its strength is chosen on pixels of training images that the fit has not seen.

Where depth is not known (NaN) a pixel does not count. Where it is 0 it counts in the error, and not in the share:
no ratio to 0 is defined.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.frozen_tokens import (
    BATCH,
    LinearHead,
    Pixels,
    draw_pixels,
    patch_tokens,
    why_no_tokens,
    why_not_numbers,
)
from sslbench_plugins.blocks.probes.ridge import fit_ridge
from sslbench_plugins.blocks.probes.spread_out import spread_out
from sslbench_plugins.blocks.probes.standardise import Standardiser

MAP = "depth"
STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak"""
WITHIN = 1.25
RMSE, DELTA = "depth_rmse", "depth_delta1"


class DenseRegressionParams(Params):
    pixels: int = param(10_000, "random training pixels that the layer is fitted to", ge=2, unit="pixels")
    images: int = param(2_000, "training images that they are drawn from, at most", ge=2, unit="images")


class DepthHead(NamedTuple):
    """The fitted layer and the range of its answers."""

    layer: LinearHead
    lowest: float
    highest: float

    def __call__(self, tokens: Tensor, size: int) -> Tensor:
        """``[B, D, rows, cols]`` -> depths ``[B, size, size]``."""
        return self.layer.at_pixels(tokens, size)[:, 0].clamp(self.lowest, self.highest)


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


def fit_depth(drawn: Pixels) -> DepthHead:
    """The strength with the least error on the held-out pixels (of equals the strongest), fitted to all."""
    standardise = Standardiser.fitted(drawn.features)
    features, values, held = standardise(drawn.features), drawn.values.double(), drawn.held
    lowest, highest = float(values.min()), float(values.max())
    weight, bias = fit_ridge(features, values, held, STRENGTHS, lambda found: found.clamp(lowest, highest))
    layer = LinearHead(*standardise.undone(weight[None].float(), bias[None].float()))
    return DepthHead(layer, lowest, highest)


class DenseRegression:
    """Fits the layer on training pixels, scores every test image once."""

    def __init__(self, params: DenseRegressionParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_no_tokens(data.model)
        if reason:
            return unmeasured(reason)
        model = data.model
        assert model is not None
        drawn = draw_pixels(
            model,
            lambda indices: model.maps("train", MAP, indices),
            torch.isfinite,
            spread_out(len(data.train.features), self.params.images),
            self.params.pixels,
            data.seed,
        )
        reason = why_not_fittable(drawn)
        return unmeasured(reason) if reason else self._score(data, fit_depth(drawn))

    def _score(self, data: EvaluationData, head: DepthHead) -> list[Metric]:
        model = data.model
        assert model is not None
        found = []
        for indices in torch.arange(len(data.test.features)).split(BATCH):
            tokens = patch_tokens(model, "test", indices)
            reason = why_not_numbers(tokens.movedim(1, -1), "test")
            if reason:
                return unmeasured(reason)
            found.append(torch.stack(scores(model.maps("test", MAP, indices), head(tokens, model.image_size))))
        errors, shares = torch.cat(found, dim=1)
        return [
            over_images(RMSE, errors, "no test image has a pixel whose depth is known", higher_is_better=False),
            over_images(DELTA, shares, "no test image has a pixel whose depth is known and above 0"),
        ]


def over_images(name: str, values: Tensor, reason: str, higher_is_better: bool = True) -> Metric:
    """The mean over the images that have a value; ``[N]``, NaN for the others."""
    measured = values[values.isfinite()]
    if not len(measured):
        return Metric(name, None, higher_is_better=higher_is_better, reason=reason)
    whole = values.cpu() if len(measured) == len(values) else None
    return Metric(name, float(measured.mean()), higher_is_better=higher_is_better, per_image=whole)


def why_not_fittable(drawn: Pixels) -> str:
    """Empty where the drawn depths differ, and some are left to choose by; else one line."""
    if not len(drawn.values):
        return "no pixel of the training maps has a known depth"
    if bool((drawn.values == drawn.values[0]).all()):
        return f"all training depths are {float(drawn.values[0]):g}: there is nothing to tell apart"
    if bool(drawn.held.all()) or not bool(drawn.held.any()):
        return "too few training images have known depths to hold some out and choose the regularisation"
    return why_not_numbers(drawn.features, "training")


def unmeasured(reason: str) -> list[Metric]:
    return [Metric(RMSE, None, higher_is_better=False, reason=reason), Metric(DELTA, None, reason=reason)]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="dense-regression",
            summary=__doc__.partition("\n")[0],
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
