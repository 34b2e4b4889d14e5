"""Whether an evaluator looks at the test split while it fits or chooses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sslbench.contracts.evaluator import EvaluationData, FitsHead, LinearHead
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.evaluation import Yielded, evaluate, features_of, hard_data, part
from sslbench.testing.conformance.problem import Problems

FIT_ON_TRAIN = "Fit on ``train``, report on ``test``; choose nothing by ``test``"
ABOVE_CHANCE = 0.6
"""mean of a share over all shifts of the labels, for which chance is a third or a half"""
UNLIKE = 20.0
LAST = 10
"""test images at the end; no multiple of the classes, so that an accuracy cannot be the same for all of their labels"""
FLIPS = 0.02
"""share of the images that rounding explains"""
ROUNDED = 0.005
"""of the sum of some accuracies: what three decimals of each explain; one image of 90 is 0.011"""
ACCURACY = re.compile(r"(^|[_@-])(top\d+|acc|accuracy)([_@-]|$)")
LABELS_RIGHT = re.compile(r"(?:top|@)(\d+)")
"""in the name of an accuracy: by how many labels an image is right, if by more than one"""


def relabelled(data: EvaluationData, shift: int) -> EvaluationData:
    """With test labels that have nothing to do with the features: drawn, then the ``shift``-th one after it."""
    drawn = torch.randint(data.classes, (len(data.test.features),), generator=torch.Generator().manual_seed(7))
    return replace(data, test=replace(data.test, labels=(drawn + shift) % data.classes))


def shifted_results(trial: Trial) -> list[Yielded]:
    """One for each shift: over all of them each test image has each label once."""
    data = trial.once(hard_data)
    return [evaluate(trial, relabelled(data, shift)) for shift in range(data.classes)]


@check("evaluator", FIT_ON_TRAIN, "evaluate")
def labels_change_no_prediction(trial: Trial) -> Problems:
    """A prediction is right for one label of an image (k in the top k), whatever the labels of the others are."""
    if "labels" not in trial.spec.needs:
        return
    results = trial.once(shifted_results)
    for name, right in results[0].right_or_wrong.items():
        each = [result.right_or_wrong.get(name) for result in results]
        if any(values is None or values.shape != right.shape for values in each):
            continue
        times = torch.stack([values for values in each if values is not None]).sum(dim=0)
        if times.min() != times.max() or times.max() == len(results) > labels_right(name):
            images = int((times != 1).sum())
            yield f"{name}: the predictions for {images} of {len(times)} test images change with the test labels"
            return
    for name, values in accuracies(results):
        if abs(sum(values) - round(sum(values))) > ROUNDED:
            yield (
                f"{name} sums to {sum(values):.3f} over labels of which each test image has each once, and a prediction"
                " is right for one of them: the predictions change with the test labels"
            )
            return
    headline = trial.spec.ranked_by(trial.params)
    known = [value for value in (result.values.get(headline) for result in results) if value is not None]
    metric = results[0].metrics.get(headline)
    if len(known) < len(results) or max(known) > 1 or min(known) < 0 or labels_right(headline) > 1:
        return
    if metric and metric.higher_is_better and sum(known) / len(known) > ABOVE_CHANCE:
        mean = sum(known) / len(known)
        yield f"{headline} is {mean:.2f} for test labels that are drawn at random: it is fitted on the test split"


def labels_right(name: str) -> int:
    """By how many labels an image is right, as the name of a metric has it: ``top5``, ``acc@5``."""
    found = LABELS_RIGHT.search(name)
    return int(found[1]) if found else 1


def accuracies(results: Sequence[Yielded]) -> Iterator[tuple[str, list[float]]]:
    """Name and values of metrics that are called an accuracy and do not say of each image whether it is right."""
    for name in results[0].values:
        values = [result.values.get(name) for result in results]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and name not in results[0].right_or_wrong and ACCURACY.search(name):
            yield name, known


@check("evaluator", FIT_ON_TRAIN, "evaluate")
def other_test_images_change_no_prediction(trial: Trial) -> Problems:
    """Those of half of the test images are the same without the other half."""
    if trial.spec.uses_model or "labels" not in trial.spec.needs:
        return
    data = trial.once(hard_data)
    lower, upper = halves(data)
    # Unlike the others, so that whatever is taken from all test images shows.
    features = data.test.features.clone()
    features[upper] = UNLIKE * (features[upper] + 1)
    data = replace(data, test=replace(data.test, features=features))
    parts = (torch.cat([lower, upper]), lower, upper)
    results = [evaluate(trial, replace(data, test=part(data.test, rows), shown=None)) for rows in parts]
    for name, right in results[0].right_or_wrong.items():
        alone = [result.right_or_wrong.get(name, right[:0]) for result in results[1:]]
        if (together := torch.cat(alone)).shape == right.shape == parts[0].shape:
            changed = (together != right).float().mean().item()
            if changed > FLIPS:
                yield f"{name}: {changed:.0%} of its predictions change where half of the test images are left out"
                return
    for name, (whole, *values) in accuracies(results):
        if abs(sum(values) / 2 - whole) > FLIPS:
            mean = sum(values) / 2
            yield f"{name} is {whole:.3f}, and {mean:.3f} is the mean of what it is for each half of the test images"
            return


@check("evaluator", FIT_ON_TRAIN, "evaluate")
def every_test_image_counts(trial: Trial) -> Problems:
    """The last ones too, which a batch that is not full would leave out."""
    if trial.spec.uses_model or "labels" not in trial.spec.needs:
        return
    data, headline = trial.once(hard_data), trial.spec.ranked_by(trial.params)
    assert data.test.labels is not None
    values = []
    for shift in range(data.classes):
        labels = data.test.labels.clone()
        labels[-LAST:] = (labels[-LAST:] + shift) % data.classes
        result = evaluate(trial, replace(data, test=replace(data.test, labels=labels), shown=None))
        values.append(result.values.get(headline))
    by_labels = len({result.values.get(headline) for result in trial.once(shifted_results)}) > 1
    if by_labels and headline not in result.right_or_wrong and values[0] is not None and len(set(values)) == 1:
        yield f"{headline} is the same whatever the labels of the last {LAST} of {len(labels)} test images are"


def halves(data: EvaluationData) -> tuple[Tensor, Tensor]:
    """Rows of the test split, as many of each class in both; in the first one the first feature is the lower."""
    order = data.test.features[:, 0].argsort()
    assert data.test.labels is not None
    of_class = [order[data.test.labels[order] == label] for label in range(data.classes)]
    lower, upper = zip(*((rows[: len(rows) // 2], rows[(len(rows) + 1) // 2 :]) for rows in of_class), strict=True)
    return torch.cat(lower), torch.cat(upper)


@check("evaluator", "Fitted on ``data.train`` alone", "fit")
def head_is_of_the_training_split(trial: Trial) -> Problems:
    """The same whatever the test split is, and right on features as they are."""
    if not isinstance(trial.built, FitsHead) or trial.spec.uses_model:
        return
    data = features_of(trial)
    places = torch.linspace(-20, 20, data.train.features.shape[1])
    data = replace(data, train=replace(data.train, features=5 * data.train.features + places), shown=None)
    head = trial.build(classes=data.classes).fit(data)
    if line := wrong_head(head, data):
        yield line
        return
    other = replace(data, test=replace(data.test, features=torch.zeros_like(data.test.features)))
    again = trial.build(classes=data.classes).fit(relabelled(other, 0))
    if not (torch.equal(head.weight, again.weight) and torch.equal(head.bias, again.bias)):
        yield "another test split gives another head"
    assert data.train.labels is not None
    right = (head.logits(data.train.features).argmax(dim=1) == data.train.labels).float().mean().item()
    if right < 0.8:
        yield f"its head labels {right:.0%} of the training images rightly, of features that are easy to tell apart"


def wrong_head(head: LinearHead, data: EvaluationData) -> str:
    """What is wrong with the shapes of a head, if anything."""
    if not isinstance(head, LinearHead):
        return f"fit returned a {type(head).__name__}, not a LinearHead"
    shape = (data.classes, data.train.features.shape[1])
    tensors: tuple[Tensor, Tensor] = (head.weight, head.bias)
    if tuple(head.weight.shape) != shape or tuple(head.bias.shape) != shape[:1]:
        return f"weight {list(head.weight.shape)} and bias {list(head.bias.shape)}, not {list(shape)} and [{shape[0]}]"
    return "" if all(t.dtype == torch.float32 for t in tensors) else f"weight is {head.weight.dtype}, not float32"
