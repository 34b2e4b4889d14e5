"""Evaluators with one mistake each; a good one has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sslbench import EvaluatorSpec, LinearHead, Metric, Picture, UserError
from tests.testing.plants import assert_named, faults


class Centroid:
    """The class whose mean is nearest."""

    scale = 1.0

    def fitted_on(self, data):
        return data.train.features, data.train.labels

    def predicted(self, data):
        features, labels = self.fitted_on(data)
        means = torch.stack([features[labels == label].mean(dim=0) for label in range(data.classes)])
        return torch.cdist(data.test.features, means).argmin(dim=1)

    def right(self, data):
        return (self.predicted(data) == data.test.labels).float()

    def evaluate(self, data):
        if not bool(torch.isfinite(data.train.features).all()):
            return [Metric("top1", None, reason="features that are not finite")]
        right = self.right(data)
        return [self.metric(right)]

    def metric(self, right):
        return Metric("top1", right.mean().item(), per_image=right)


class FitsOnTest(Centroid):
    def fitted_on(self, data):
        return data.test.features, data.test.labels


class FitsOnBoth(Centroid):
    def fitted_on(self, data):
        return tuple(
            torch.cat([a, b]) for a, b in zip(super().fitted_on(data), FitsOnTest.fitted_on(self, data), strict=True)
        )


class ChoosesByTest(Centroid):
    """The better of two classifiers, as the test labels have it."""

    def right(self, data):
        half = replace(data, train=replace(data.train, features=data.train.features[:, :1]))
        half = replace(half, test=replace(data.test, features=data.test.features[:, :1]))
        return max(super().right(data), super().right(half), key=torch.sum)


class StandardisesByTest(Centroid):
    def predicted(self, data):
        halves = [(half.features - half.features.mean(0)) / half.features.std(0) for half in (data.train, data.test)]
        train, test = (replace(half, features=f) for half, f in zip((data.train, data.test), halves, strict=True))
        return super().predicted(replace(data, train=train, test=test))


class NeighbourOfItself(Centroid):
    """No per-image metric; the gallery contains the query."""

    def evaluate(self, data):
        if not bool(torch.isfinite(data.train.features).all()):
            return [Metric("top1", None, reason="features that are not finite")]
        gallery = torch.cat([data.train.features, data.test.features])
        labels = torch.cat([data.train.labels, data.test.labels])
        found = labels[torch.cdist(data.test.features, gallery).argmin(dim=1)]
        return [Metric("top1", (found == data.test.labels).float().mean().item())]


class WithoutImages:
    """No per-image metric."""

    def metric(self, right):
        return Metric("top1", right.mean().item())


class ChoosesByTestInSilence(WithoutImages, ChoosesByTest):
    pass


class StandardisesByTestInSilence(WithoutImages, StandardisesByTest):
    pass


class FullBatches(Centroid):
    """The last images, which fill no batch, are left out."""

    def metric(self, right):
        return Metric("top1", right[: len(right) // 32 * 32].mean().item())


class OfAllClasses(Centroid):
    """Of three classes the label is among the five best, whatever is predicted."""

    def metric(self, right):
        return [Metric("top1", right.mean().item()), Metric("top5", 1.0, per_image=torch.ones(len(right)))]

    def evaluate(self, data):
        found = super().evaluate(data)[0]
        return found if isinstance(found, list) else [found]


class BalancedAccuracy(Centroid):
    """The mean over classes of the share that is right."""

    def evaluate(self, data):
        yield from super().evaluate(data)
        if bool(torch.isfinite(data.train.features).all()):
            right, labels = self.right(data), data.test.labels
            means = [right[labels == label].mean() for label in range(data.classes)]
            yield Metric("balanced_accuracy", torch.stack(means).mean().item())


class Percent(Centroid):
    def metric(self, right):
        return Metric("top1", 100 * right.mean().item())


class PercentOfImages(Centroid):
    def metric(self, right):
        return Metric("score", 100 * right.mean().item(), per_image=right)


class PercentUnit(Centroid):
    def metric(self, right):
        return Metric("top1", 100 * right.mean().item(), unit="%")


class OneShortOfAll(Centroid):
    def metric(self, right):
        return Metric("top1", right.mean().item(), per_image=right[:-1])


class OfTraining(Centroid):
    def metric(self, right):
        return Metric("top1", right.mean().item(), per_image=torch.cat([right, right])[:120])


class OtherMean(Centroid):
    def metric(self, right):
        return Metric("top1", right.mean().item(), per_image=1 - right)


class Logits(Centroid):
    def metric(self, right):
        return Metric("top1", right.mean())  # a tensor is a number, which is fine


class Normalises(Centroid):
    def predicted(self, data):
        data.train.features.div_(data.train.features.norm(dim=1, keepdim=True))
        return super().predicted(data)


class Relabels(Centroid):
    def predicted(self, data):
        found = super().predicted(data)
        data.test.labels.zero_()
        return found


class NumpysDraw(Centroid):
    def predicted(self, data):
        return super().predicted(data).roll(int(np.random.randint(2)))


class OwnDraw(Centroid):
    def predicted(self, data):
        noise = np.random.default_rng().normal(size=data.test.features.shape)
        features = data.test.features + 3 * torch.tensor(noise, dtype=torch.float32)
        return super().predicted(replace(data, test=replace(data.test, features=features)))


class NotANumber(Centroid):
    def metric(self, right):
        return Metric("top1", float("nan"))


class Silent(Centroid):
    def metric(self, right):
        return Metric("top1", None)


class OtherName(Centroid):
    def metric(self, right):
        return Metric("accuracy", right.mean().item())


class NaNBlind(Centroid):
    def evaluate(self, data):
        return [self.metric(self.right(data))]


class ByPictures(Centroid):
    def right(self, data):
        return super().right(data) * (0.0 if data.shown is None else 1.0)


class PicturesFirst(Centroid):
    def evaluate(self, data):
        return [Picture("p", torch.zeros(3, 8, 8, dtype=torch.uint8), "Nothing."), *super().evaluate(data)]


class Nothing(Centroid):
    def evaluate(self, data):
        return []


class Numbers(Centroid):
    def evaluate(self, data):
        return {"top1": 0.5}


class SetsDtype(Centroid):
    def right(self, data):
        torch.set_default_dtype(torch.float64)
        return super().right(data)


class Refuses(Centroid):
    def right(self, data):
        raise UserError("no")


EVALUATORS = [
    (FitsOnTest, "change with the test labels"),
    (FitsOnBoth, "change with the test labels"),
    (ChoosesByTest, "change with the test labels"),
    (StandardisesByTest, "of its predictions change where half of the test images are left out"),
    (ChoosesByTestInSilence, "over labels of which each test image has each once"),
    (StandardisesByTestInSilence, "is the mean of what it is for each half of the test images"),
    (FullBatches, "top1 is the same whatever the labels of the last 10 of 90 test images are"),
    (NeighbourOfItself, "top1 is 1.00 for test labels that are drawn at random"),
    (Percent, "a share is 0..1"),
    (PercentOfImages, "a share is 0..1"),
    (PercentUnit, "top1 is in %; a share is 0..1, without a unit"),
    (OneShortOfAll, "per_image: shape [89]; allowed: a tensor with one value for each of 90 test images"),
    (OfTraining, "per_image: shape [120]; allowed"),
    (OtherMean, "and the mean of its per_image is"),
    (Normalises, "it changed the features of the training split"),
    (Relabels, "it changed the labels of the test split"),
    (NumpysDraw, "it drew from NumPy's global generator"),
    (OwnDraw, "not the same for the same features and seed"),
    (NotANumber, "top1 is nan; what cannot be measured is None"),
    (Silent, "top1 is None without a reason"),
    (OtherName, "its headline 'top1' is none of its metrics: accuracy"),
    (NaNBlind, "for features that are not numbers"),
    (ByPictures, "its metrics differ where data.shown is None"),
    (PicturesFirst, "a metric comes after a picture"),
    (Nothing, "it yields no metric"),
    (Numbers, "yielded 'top1'; allowed: Metric(name, value)"),
    (SetsDtype, "it changed torch's default dtype"),
    (Refuses, "raised UserError: no"),
]


def evaluator(make, **more):
    stated = {"headline": "top1", **more}
    return EvaluatorSpec(name="e", summary="An e.", build=lambda params, context: make(), **stated)


@pytest.mark.parametrize("make", [Centroid, Logits, OfAllClasses, BalancedAccuracy])
def test_a_good_evaluator_has_no_fault(make):
    assert faults(evaluator(make)) == []


@pytest.mark.parametrize(("make", "words"), EVALUATORS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_evaluator_is_named(make, words):
    assert_named(evaluator(make), words, __file__)


def test_needs_are_what_it_cannot_do_without():
    (fault,) = [f for f in faults(evaluator(Centroid, needs=frozenset())) if "without labels" in f.text]
    assert "without labels, which its spec does not need, it raised" in fault.text
    assert any("it needs 'label'" in f.text for f in faults(evaluator(Centroid, needs=frozenset({"label"}))))


class Head(Centroid):
    """Hands over the layer that its means are."""

    def head_of(self, features, labels, classes):
        means = torch.stack([features[labels == label].mean(dim=0) for label in range(classes)])
        return LinearHead(2 * means, -means.square().sum(dim=1))

    def fit(self, data):
        return self.head_of(data.train.features, data.train.labels, data.classes)


class HeadOfTest(Head):
    def fit(self, data):
        return self.head_of(data.test.features, data.test.labels, data.classes)


class HeadOfNormalised(Head):
    def fit(self, data):
        centred = data.train.features - data.train.features.mean(dim=0)
        return self.head_of(centred / centred.norm(dim=1, keepdim=True), data.train.labels, data.classes)


class Transposed(Head):
    def fit(self, data):
        head = super().fit(data)
        return LinearHead(head.weight.T, head.bias)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Head, ""),
        (HeadOfTest, "another test split gives another head"),
        (HeadOfNormalised, "of the training images rightly"),
        (Transposed, "weight [8, 3] and bias [3], not [3, 8] and [3]"),
    ],
)
def test_a_head_is_of_the_training_features_as_they_are(make, words):
    found = [fault.text for fault in faults(evaluator(make))]
    assert any(words in text for text in found) if words else found == []
