"""Semantic segmentation by a linear layer on frozen patch tokens: mean intersection over union (mIoU).

The layer is fitted exactly (multinomial logistic regression) to random pixels of training images, whose tokens are
interpolated bilinearly between the patches' centres; so are its logits when test pixels are scored. Its regularisation
is chosen on the pixels of training images that the fit has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from sslbench import (
    EvaluationData,
    EvaluatorSpec,
    Metric,
    Params,
    Picture,
    SplitName,
    drawable_names,
    hookimpl,
    param,
    with_names,
)
from sslbench_plugins.blocks.pictures.maps import class_maps
from sslbench_plugins.blocks.pictures.views import shown_rows
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, model_of, require, unmeasured
from sslbench_plugins.blocks.probes.frozen_tokens import SampledPixels, TokenHead, sample_pixels
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import LogisticFit, StoppingRule, fit_logistic, why_no_optimum
from sslbench_plugins.blocks.probes.samples import evenly_spaced

MAP = "mask"
UNKNOWN = 255
NOT_SCORED = -1
"""in the place of a class"""
L2_VALUES = (1e-1, 1e-2, 1e-3, 1e-4)
"""the l2 tried, strong to weak, each fit starting from the one before"""
TO_CHOOSE = StoppingRule(tolerance=1e-4)
"""how near its optimum a fit must be to choose by"""
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

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        try:
            head, classes = fit_classes(self._training_pixels(data))
            counts = self._test_confusion(data, head, classes)
        except Unmeasurable as error:
            yield from unmeasured(METRICS, str(error))
            return
        yield from (Metric(MIOU, mean_iou(counts)), Metric(ACCURACY, pixel_accuracy(counts)))
        if data.shown is not None:
            rows = shown_rows(len(data.test.features))
            predicted = classes[head.at_test_images(model_of(data), rows).argmax(dim=1)]
            yield self._picture(data, data.shown.class_names, rows, predicted)

    def _picture(self, data: EvaluationData, class_names: Sequence[str], rows: Tensor, predicted: Tensor) -> Picture:
        """Of test images at ``rows`` int64 ``[B]``; ``predicted``: int64 ``[B, S, S]``, the classes of their pixels."""
        true = self._true_classes(data, "test", rows)
        if self.params.target != "label":
            names = ["ground", "object"] if self.params.target == "objects" else []
            return class_maps(model_of(data), rows, true, predicted, names)
        names = ["ground", *drawable_names(class_names, data.classes)]
        picture = class_maps(model_of(data), rows, true, predicted, names)
        shown = torch.unique(torch.cat([true, predicted])) - 1
        return replace(picture, caption=with_names(picture.caption, class_names, shown.tolist()))

    def _training_pixels(self, data: EvaluationData) -> SampledPixels:
        if self.params.target == "label" and (data.train.labels is None or data.test.labels is None):
            raise Unmeasurable("target=label needs the images' labels, and there are none")
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

    def _test_confusion(self, data: EvaluationData, head: TokenHead, classes: Tensor) -> Tensor:
        """As ``confusion`` returns it, of all test pixels; ``classes``: int64 ``[C]``, what the outputs stand for."""
        size = 1 + data.classes if self.params.target == "label" else UNKNOWN + 1
        counts = torch.zeros(size, size, dtype=torch.int64, device=classes.device)
        for indices, outputs in head.on_test_images(data):
            counts += confusion(self._true_classes(data, "test", indices), classes[outputs.argmax(dim=1)], size)
        if not int(counts.sum()):
            raise Unmeasurable("no pixel of the test maps is scored")
        return counts


def pixel_classes(maps: Tensor, target: Target, labels: Tensor | None) -> Tensor:
    """uint8 ``[B, S, S]``, and int64 ``[B]`` for ``label``, -> int64 ``[B, S, S]``: classes of pixels or NOT_SCORED."""
    values = maps.long()
    unknown = values == UNKNOWN
    if target == "objects":
        values = (values > 0).long()
    if target == "label":
        assert labels is not None
        unknown |= (values > 1) | ((values == 1) & (labels < 0)[:, None, None])
        values = torch.where(values == 1, 1 + labels[:, None, None], 0)
    return values.masked_fill(unknown, NOT_SCORED)


def fit_classes(pixels: SampledPixels) -> tuple[TokenHead, Tensor]:
    """The layer, and the classes int64 ``[C]`` that its outputs stand for. Raises Unmeasurable where there are not two
    classes, none is held out to choose by, or the fit does not converge."""
    classes = torch.unique(pixels.values)
    if not len(classes):
        raise Unmeasurable("no pixel of the training maps is scored")
    if len(classes) == 1:
        raise Unmeasurable(f"all training pixels are of class {int(classes[0])}: there is nothing to tell apart")
    pixels.require_fittable("scored pixels")
    standardise, labels = Standardiser.fitted(pixels.features), torch.searchsorted(classes, pixels.values)
    l2, fit = fit_with_best_miou(standardise(pixels.features), labels, pixels.held_out)
    require(why_no_optimum(fit, l2))
    return TokenHead(*standardise.undone(fit.weight[0], fit.bias[0, :, 0])), classes


def fit_with_best_miou(features: Tensor, labels: Tensor, held_out: Tensor) -> tuple[float, LogisticFit]:
    """The l2 whose fit to the other pixels has the best mIoU on the ``held_out`` ones (of equals the strongest), and
    the fit of all with it. ``features`` ``[M, D]``, standardised; ``labels`` int64, ``held_out`` bool ``[M]``."""
    classes = int(labels.max()) + 1
    kept, kept_labels = features[~held_out], labels[~held_out]
    fits: list[LogisticFit] = []
    scores: list[float] = []
    for l2 in L2_VALUES:
        start = fits[-1] if fits else None
        fit = fit_logistic(kept, kept_labels, classes, l2, init=start, stop=TO_CHOOSE)
        if fits and not fit.converged:
            break
        fits.append(fit)
        predicted = fit.logits(features[held_out])[0].argmax(dim=0)
        scores.append(mean_iou(confusion(labels[held_out], predicted, classes)))
    best = scores.index(max(scores))
    return L2_VALUES[best], fit_logistic(features, labels, classes, L2_VALUES[best], init=fits[best])


def confusion(true: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """int64 ``[classes, classes]``: how many pixels of each true class (row) got each prediction (column). Both int64
    of one shape, 0..classes-1; pixels whose ``true`` is NOT_SCORED do not count."""
    scored = true != NOT_SCORED
    cells = true[scored] * classes + predicted[scored]
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=true.device)
    return counts.scatter_add_(0, cells, torch.ones_like(cells)).view(classes, classes)


def mean_iou(counts: Tensor) -> float:
    """Intersection over union of each class, averaged over those that are true of a pixel; ``counts`` not all 0."""
    right, true = counts.diagonal().double(), counts.sum(dim=1).double()
    union = true + counts.sum(dim=0) - right
    present = true > 0
    return float((right[present] / union[present]).mean())


def pixel_accuracy(counts: Tensor) -> float:
    """Share of the scored pixels that are right; ``counts`` as of ``mean_iou``."""
    return float(counts.diagonal().sum()) / int(counts.sum())


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
