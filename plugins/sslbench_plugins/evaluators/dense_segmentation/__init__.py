"""Segmentation by a linear layer on frozen patch tokens: mean intersection over union.

The layer is fitted exactly (multinomial logistic regression) to random pixels of training images, whose tokens are
interpolated bilinearly between the patches' centres; so are its answers when test pixels are scored. Its
regularisation is chosen on the pixels of training images that the fit has not seen.
"""

from __future__ import annotations

from typing import Literal

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
from sslbench_plugins.blocks.probes.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.probes.spread_out import spread_out
from sslbench_plugins.blocks.probes.standardise import Standardiser
from sslbench_plugins.evaluators.dense_segmentation.segmentation_scores import (
    NOT_SCORED,
    confusion,
    mean_iou,
    pixel_accuracy,
)

MAP = "mask"
UNKNOWN = 255
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)
"""the l2 tried, strong to weak, each fit starting from the one before"""
CHOOSING_TOLERANCE = 1e-4
"""nats: how near its optimum a fit must be to choose by"""
MIOU, ACCURACY = "segmentation_miou", "segmentation_accuracy"


class DenseSegmentationParams(Params):
    target: Literal["values", "objects", "label"] = param(
        "values",
        "what is told apart; values: those of the map; objects: the ground and all else; label: the ground and the"
        " class of the image, on the object that the label is about, other objects not scored",
    )
    pixels: int = param(10_000, "random training pixels that the layer is fitted to", ge=2, unit="pixels")
    images: int = param(2_000, "training images that they are drawn from, at most", ge=2, unit="images")


def targets(maps: Tensor, target: str, labels: Tensor | None) -> Tensor:
    """uint8 ``[B, S, S]`` and int64 ``[B]`` -> int64 ``[B, S, S]``: class of each pixel, or NOT_SCORED."""
    values = maps.long()
    unknown = values == UNKNOWN
    if target == "objects":
        values = (values > 0).long()
    if target == "label":
        assert labels is not None
        unknown |= (values > 1) | ((values == 1) & (labels < 0)[:, None, None])
        values = torch.where(values == 1, 1 + labels[:, None, None], 0)
    return values.masked_fill(unknown, NOT_SCORED)


class DenseSegmentation:
    """Fits the layer on training pixels, scores every test pixel once."""

    def __init__(self, params: DenseSegmentationParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_no_tokens(data.model) or self._why_no_labels(data)
        if reason:
            return unmeasured(reason)
        images = spread_out(len(data.train.features), self.params.images)
        drawn = draw_pixels(
            data.model,
            lambda indices: self._true(data, "train", indices),
            lambda true: true != NOT_SCORED,
            images,
            self.params.pixels,
            data.seed,
        )
        classes = drawn.values.unique()
        reason = why_not_fittable(drawn, classes)
        if reason:
            return unmeasured(reason)
        standardise = Standardiser.fitted(drawn.features)
        l2, fit = fit_exactly(standardise(drawn.features), torch.searchsorted(classes, drawn.values), drawn.held)
        if not fit.converged:
            return unmeasured(f"no optimum within {fit.steps} steps at l2 = {l2:g}")
        head = LinearHead(*standardise.undone(fit.weight[0], fit.bias[0, :, 0]))
        return self._score(data, head, classes)

    def _score(self, data: EvaluationData, head: LinearHead, classes: Tensor) -> list[Metric]:
        """``classes``: int64 ``[C]``, what the head's answers stand for."""
        assert data.model is not None
        size = 1 + data.classes if self.params.target == "label" else UNKNOWN + 1
        counts = torch.zeros(size, size, dtype=torch.int64, device=classes.device)
        for indices in torch.arange(len(data.test.features)).split(BATCH):
            tokens = patch_tokens(data.model, "test", indices)
            reason = why_not_numbers(tokens.movedim(1, -1), "test")
            if reason:
                return unmeasured(reason)
            predicted = classes[head.at_pixels(tokens, data.model.image_size).argmax(dim=1)]
            counts += confusion(self._true(data, "test", indices), predicted, size)
        if not int(counts.sum()):
            return unmeasured("no pixel of the test maps is scored")
        return [Metric(MIOU, mean_iou(counts)), Metric(ACCURACY, pixel_accuracy(counts))]

    def _true(self, data: EvaluationData, split: Literal["train", "test"], indices: Tensor) -> Tensor:
        assert data.model is not None
        labels = (data.train if split == "train" else data.test).labels
        maps = data.model.maps(split, MAP, indices)
        chosen = None if labels is None else labels[indices.to(labels.device)].to(maps.device)
        return targets(maps, self.params.target, chosen)

    def _why_no_labels(self, data: EvaluationData) -> str:
        wanted = self.params.target == "label" and (data.train.labels is None or data.test.labels is None)
        return "target=label needs the images' labels, and there are none" if wanted else ""


def why_not_fittable(drawn: Pixels, classes: Tensor) -> str:
    """Empty where the drawn pixels tell at least two classes, and some are left to choose by; else one line."""
    if not len(classes):
        return "no pixel of the training maps is scored"
    if len(classes) == 1:
        return f"all training pixels are of class {int(classes[0])}: there is nothing to tell apart"
    if bool(drawn.held.all()) or not bool(drawn.held.any()):
        return "too few training images have scored pixels to hold some out and choose the regularisation"
    return why_not_numbers(drawn.features, "training")


def fit_exactly(features: Tensor, labels: Tensor, held: Tensor) -> tuple[float, LogisticFit]:
    """The l2 whose fit to the other pixels has the best mean intersection over union on the ``held`` out (of equals
    the strongest), and the fit of all pixels with it. ``features`` ``[M, D]``, standardised; ``labels`` int64 ``[M]``.
    """
    classes = int(labels.max()) + 1
    kept, kept_labels = features[~held], labels[~held]
    fits: list[LogisticFit] = []
    scores: list[float] = []
    for l2 in STRENGTHS:
        start = fits[-1] if fits else None
        fit = fit_logistic(kept, kept_labels, classes, l2, init=start, tolerance=CHOOSING_TOLERANCE)
        if fits and not fit.converged:
            break
        fits.append(fit)
        predicted = fit.logits(features[held])[0].argmax(dim=0)
        scores.append(mean_iou(confusion(labels[held], predicted, classes)) or 0.0)
    best = scores.index(max(scores))
    return STRENGTHS[best], fit_logistic(features, labels, classes, STRENGTHS[best], init=fits[best])


def unmeasured(reason: str) -> list[Metric]:
    return [Metric(name, None, reason=reason) for name in (MIOU, ACCURACY)]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="dense-segmentation",
            summary=__doc__.partition("\n")[0],
            params=DenseSegmentationParams,
            presets={"quick": {"pixels": 5_000, "images": 500}},
            build=lambda params, context: DenseSegmentation(params),
            needs=frozenset({MAP, "tokens"}),
            uses_model=True,
            headline=MIOU,
            citation="Oquab et al. 2023, DINOv2, section 7.4 (a linear layer on frozen patch tokens, upsampled);"
            " Everingham et al. 2010, The PASCAL VOC Challenge (intersection over union)",
        )
    ]
