"""Semantic segmentation by a linear layer on frozen patch tokens: mean intersection over union (mIoU).

The layer is fitted exactly (multinomial logistic regression) to random pixels of training images, whose tokens are
interpolated bilinearly between the patches' centres; so are its logits when test pixels are scored. Its regularisation
is chosen on the pixels of training images that the fit has not seen.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import model_of, why_not_squarable
from sslbench_plugins.blocks.probes.evenly_spaced import evenly_spaced
from sslbench_plugins.blocks.probes.frozen_tokens import (
    BATCH,
    SampledPixels,
    SplitName,
    TokenHead,
    patch_tokens,
    sample_pixels,
    why_no_tokens,
    why_none_held_out,
)
from sslbench_plugins.blocks.probes.logistic import LogisticFit, fit_logistic, why_no_optimum
from sslbench_plugins.blocks.probes.metrics import unmeasured
from sslbench_plugins.blocks.probes.standardise import Standardiser
from sslbench_plugins.evaluators.dense_segmentation.segmentation_scores import (
    NOT_SCORED,
    confusion,
    mean_iou,
    pixel_accuracy,
)

MAP = "mask"
UNKNOWN = 255
L2_VALUES = (1e-1, 1e-2, 1e-3, 1e-4)
"""the l2 tried, strong to weak, each fit starting from the one before"""
CHOOSING_TOLERANCE = 1e-4
"""nats: how near its optimum a fit must be to choose by"""
METRICS = MIOU, ACCURACY = "segmentation_miou", "segmentation_accuracy"
Target = Literal["values", "objects", "label"]


class DenseSegmentationParams(Params):
    """What the classes of pixels are, and how many the layer is fitted to."""

    target: Target = param(
        "values",
        "what is told apart; values: those of the map; objects: the ground and all else; label: the ground and the"
        " class of the image, on the object that the label is about, other objects not scored",
    )
    pixels: int = param(10_000, "random training pixels that the layer is fitted to", ge=2, unit="pixels")
    images: int = param(2_000, "training images that they are drawn from, at most", ge=2, unit="images")


class DenseSegmentation:
    """Fits the layer on training pixels, scores every test pixel once."""

    def __init__(self, params: DenseSegmentationParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_no_tokens(data.model) or self._why_no_labels(data)
        if reason:
            return unmeasured(METRICS, reason)
        pixels = self._training_pixels(data)
        classes = torch.unique(pixels.values)
        reason = why_not_fittable(pixels, classes)
        if reason:
            return unmeasured(METRICS, reason)
        standardise = Standardiser.fitted(pixels.features)
        labels = torch.searchsorted(classes, pixels.values)
        l2, fit = fit_with_best_miou(standardise(pixels.features), labels, pixels.held_out)
        if not fit.converged:
            return unmeasured(METRICS, why_no_optimum(fit, l2))
        head = TokenHead(*standardise.undone(fit.weight[0], fit.bias[0, :, 0]))
        return self._score(data, head, classes)

    def _why_no_labels(self, data: EvaluationData) -> str:
        lacking = self.params.target == "label" and (data.train.labels is None or data.test.labels is None)
        return "target=label needs the images' labels, and there are none" if lacking else ""

    def _training_pixels(self, data: EvaluationData) -> SampledPixels:
        return sample_pixels(
            model_of(data),
            lambda indices: self._true_classes(data, "train", indices),
            lambda true: true != NOT_SCORED,
            evenly_spaced(len(data.train.features), self.params.images),
            self.params.pixels,
            data.seed,
        )

    def _true_classes(self, data: EvaluationData, split: SplitName, indices: Tensor) -> Tensor:
        """int64 ``[B, S, S]``, as ``pixel_classes`` returns them; ``indices`` int64 ``[B]``."""
        labels = (data.train if split == "train" else data.test).labels
        maps = model_of(data).maps(split, MAP, indices)
        of_images = None if labels is None else labels[indices.to(labels.device)].to(maps.device)
        return pixel_classes(maps, self.params.target, of_images)

    def _score(self, data: EvaluationData, head: TokenHead, classes: Tensor) -> list[Metric]:
        """``classes``: int64 ``[C]``, what the head's outputs stand for."""
        model = model_of(data)
        size = 1 + data.classes if self.params.target == "label" else UNKNOWN + 1
        counts = torch.zeros(size, size, dtype=torch.int64, device=classes.device)
        for indices in torch.split(torch.arange(len(data.test.features)), BATCH):
            tokens = patch_tokens(model, "test", indices)
            reason = why_not_squarable(tokens.movedim(1, -1), "test token")
            if reason:
                return unmeasured(METRICS, reason)
            predicted = classes[head.at_pixels(tokens, model.image_size).argmax(dim=1)]
            counts += confusion(self._true_classes(data, "test", indices), predicted, size)
        if not int(counts.sum()):
            return unmeasured(METRICS, "no pixel of the test maps is scored")
        return [Metric(MIOU, mean_iou(counts)), Metric(ACCURACY, pixel_accuracy(counts))]


def pixel_classes(maps: Tensor, target: Target, labels: Tensor | None) -> Tensor:
    """uint8 ``[B, S, S]`` and int64 ``[B]`` -> int64 ``[B, S, S]``: class of each pixel, or NOT_SCORED. ``labels`` are
    needed for ``label`` alone."""
    values = maps.long()
    unknown = values == UNKNOWN
    if target == "objects":
        values = (values > 0).long()
    if target == "label":
        assert labels is not None
        unknown |= (values > 1) | ((values == 1) & (labels < 0)[:, None, None])
        values = torch.where(values == 1, 1 + labels[:, None, None], 0)
    return values.masked_fill(unknown, NOT_SCORED)


def why_not_fittable(pixels: SampledPixels, classes: Tensor) -> str:
    """Empty where the pixels are of at least two classes, and some are held out to choose by; else one line."""
    if not len(classes):
        return "no pixel of the training maps is scored"
    if len(classes) == 1:
        return f"all training pixels are of class {int(classes[0])}: there is nothing to tell apart"
    return why_none_held_out(pixels, "scored pixels") or why_not_squarable(pixels.features, "training token")


def fit_with_best_miou(features: Tensor, labels: Tensor, held_out: Tensor) -> tuple[float, LogisticFit]:
    """The l2 whose fit to the other pixels has the best mean intersection over union on the ``held_out`` ones (of
    equals the strongest), and the fit of all pixels with it. ``features`` ``[M, D]``, standardised; ``labels`` int64
    ``[M]``; ``held_out`` bool ``[M]``.
    """
    classes = int(labels.max()) + 1
    kept, kept_labels = features[~held_out], labels[~held_out]
    fits: list[LogisticFit] = []
    scores: list[float] = []
    for l2 in L2_VALUES:
        start = fits[-1] if fits else None
        fit = fit_logistic(kept, kept_labels, classes, l2, init=start, tolerance=CHOOSING_TOLERANCE)
        if fits and not fit.converged:
            break
        fits.append(fit)
        predicted = fit.logits(features[held_out])[0].argmax(dim=0)
        scores.append(mean_iou(confusion(labels[held_out], predicted, classes)) or 0.0)
    best = scores.index(max(scores))
    return L2_VALUES[best], fit_logistic(features, labels, classes, L2_VALUES[best], init=fits[best])


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="dense-segmentation",
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
