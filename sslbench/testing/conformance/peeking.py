"""Whether an evaluator looks at the test split while it fits or chooses."""

from __future__ import annotations

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
FLIPS = 0.02
"""share of the images that rounding explains"""


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
    """A prediction is right for one label of an image, whatever the labels of the others are."""
    if "labels" not in trial.spec.needs:
        return
    results = trial.once(shifted_results)
    for name, right in results[0].right_or_wrong.items():
        each = [result.right_or_wrong.get(name) for result in results]
        if any(values is None or values.shape != right.shape for values in each):
            continue
        times = torch.stack([values for values in each if values is not None]).sum(dim=0)
        if times.min() != times.max() or times.max() == len(results):
            images = int((times != 1).sum())
            yield f"{name}: the predictions for {images} of {len(times)} test images change with the test labels"
            return
    headline = trial.spec.ranked_by(trial.params)
    values = [result.values.get(headline) for result in results]
    known = [value for value in values if value is not None and 0 <= value <= 1]
    metric = results[0].metrics.get(headline)
    if metric and metric.higher_is_better and len(known) == len(values) and sum(known) / len(known) > ABOVE_CHANCE:
        mean = sum(known) / len(known)
        yield f"{headline} is {mean:.2f} for test labels that are drawn at random: it is fitted on the test split"


@check("evaluator", FIT_ON_TRAIN, "evaluate")
def other_test_images_change_no_prediction(trial: Trial) -> Problems:
    """Those of half of the test images are the same without the other half."""
    if trial.spec.uses_model or "labels" not in trial.spec.needs:
        return
    data = trial.once(hard_data)
    half = len(data.test.features) // 2
    kept = data.test.features[:, 0].argsort()[half:].sort().values  # others than those on the whole
    whole = evaluate(trial, data)
    fewer = evaluate(trial, replace(data, test=part(data.test, kept), shown=None))
    for name, right in whole.right_or_wrong.items():
        other = fewer.right_or_wrong.get(name)
        if other is not None and len(other) == len(kept) and len(right) > half:
            changed = (other != right[kept]).float().mean().item()
            if changed > FLIPS:
                yield f"{name}: {changed:.0%} of its predictions change where half of the test images are left out"
                return


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
