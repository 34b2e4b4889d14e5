"""Data sets and evaluators with one mistake each; a good one of each has none."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from sslbench import DatasetSpec, EvaluatorSpec, LinearHead, Metric, Picture, UserError
from sslbench.testing.fakes import TinyDataset
from tests.testing.plants import assert_named, faults

GOOD = TinyDataset()


def split_with(name_of_split="", **changes):
    """A data set whose splits, or one of them, have other fields."""

    def make():
        class Changed(TinyDataset):
            def split(self, name):
                whole = super().split(name)
                given = {key: value(whole) if callable(value) else value for key, value in changes.items()}
                return replace(whole, **given) if name_of_split in ("", name) else whole

        return Changed(mean=GOOD.mean, std=GOOD.std)

    return make


class Reader:
    """Images that are decoded on demand."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        return self.images[indices]


class Augmenting(Reader):
    def __getitem__(self, indices):
        return self.images[indices].flip(3) if random.random() < 0.5 else self.images[indices]


class Jittering(Reader):
    def __getitem__(self, indices):
        return (self.images[indices] // 2 + np.random.default_rng().integers(0, 99)).to(torch.uint8)


class Fading(Reader):
    """A file that is read on, whatever index is asked for."""

    reads = 0

    def __getitem__(self, indices):
        self.reads += 1
        return self.images[(indices + self.reads) % len(self.images)]


class Lending(Reader):
    """Hands out its own memory."""

    def __getitem__(self, indices):
        return self.images if torch.equal(indices, torch.arange(len(self.images))) else self.images[indices]


class OneThread(Reader):
    def __init__(self, images):
        super().__init__(images)
        self.owner = threading.get_ident()

    def __getitem__(self, indices):
        if threading.get_ident() != self.owner:
            raise RuntimeError("made in another thread")
        return self.images[indices]


class OneShort(Reader):
    def __getitem__(self, indices):
        return self.images[:-1][indices]


class Floats(Reader):
    def __getitem__(self, indices):
        return self.images[indices] / 255


def reading(reader):
    return split_with(images=lambda split: reader(split.images))


def test_equal_to_train():
    train = GOOD.split("train")
    return split_with("test", images=train.images[:32], labels=train.labels[:32])()


def one_in_both():
    train = GOOD.split("train")
    return split_with("test", images=lambda split: torch.cat([train.images[5:6], split.images[1:]]))()


def drawn():
    class Drawn(TinyDataset):
        def split(self, name):
            whole = super().split(name)
            noise = torch.randint(0, 50, whole.images.shape).to(torch.uint8)
            return replace(whole, images=whole.images // 2 + noise)

    return Drawn()


test_equal_to_train.__test__ = False
DATASETS = [
    (reading(Augmenting), "it drew from Python's global generator"),
    (reading(Jittering), "images are not the same when they are read again"),
    (reading(Fading), "images are not the same"),
    (reading(Lending), "after the images that were read before were overwritten"),
    (reading(OneThread), "raised RuntimeError: made in another thread"),
    (reading(OneShort), "raised IndexError"),
    (reading(Floats), "images are torch.float32 [3, 3, 8, 8], not uint8 [3, 3, 8, 8]"),
    (drawn, "it drew from torch's global generator"),
    (test_equal_to_train, "32 of 32 test images are training images"),
    (one_in_both, "1 of 32 test images are training images"),
    (
        split_with(paths=lambda split: [f"{n}.png" for n in range(len(split))]),
        "32 paths are in train and in test: 0.png",
    ),
    (split_with(paths=["a.png"]), "1 paths"),
    (split_with(labels=lambda split: split.labels + 1), "labels from 1 to 2 are not within 0..1"),
    (split_with(labels=lambda split: split.labels.float()), "labels must be int64 [64]; they are torch.float32 [64]"),
    (split_with(labels=lambda split: split.labels[:-1]), "labels must be int64 [64]; they are torch.int64 [63]"),
    (split_with(labels=None), "there are none, and it provides labels"),
    (split_with("train", labels=torch.zeros(64, dtype=torch.int64)), "class 1 has test images and no training image"),
    (split_with(maps={}), "maps [], but it provides ['depth', 'mask']"),
    (split_with(maps=lambda s: {**s.maps, "mask": s.maps["mask"].long()}), "map 'mask' is torch.int64"),
    (split_with(maps=lambda s: {**s.maps, "depth": s.maps["depth"] * 2}), "depth from 0 to 2, not within 0..1"),
    (split_with(maps=lambda s: {**s.maps, "mask": s.maps["mask"][:-1]}), "map 'mask' is torch.uint8"),
    (split_with(factors={}), "0 factors, but it provides"),
    (split_with(factors=lambda s: {"half": s.labels - 1}), "factor 'half' is -1 somewhere"),
    (split_with(factors=lambda s: {"half": s.labels[:-1]}), "factor 'half' is torch.int64 [63]"),
    (split_with(images=lambda s: s.images[:0]), "0 images; allowed: at least 2"),
    (split_with(unlabelled=lambda s: s.images[..., :4]), "unlabelled are torch.uint8 [3, 3, 8, 4]"),
    (split_with(held_out=True), "train: held_out is said of a test split"),
    (lambda: replace(GOOD, mean=(0.485, 0.456, 0.406)), "mean is [0.485, 0.456, 0.406], of the training images it is"),
    (lambda: replace(GOOD, std=(61.2, 61.2, 61.2)), "std is [61.2, 61.2, 61.2], of the training images it is"),
    (lambda: replace(GOOD, image_size=16, classes=("a", "a")), "two classes have one name"),
    (object, "build must return an object with split, classes, image_size, mean and std"),
]


def dataset(make, **more):
    stated = {"provides": frozenset({"labels", "factors", "mask", "depth"}), "fingerprint": lambda params: "1", **more}
    return DatasetSpec(name="d", summary="A d.", build=lambda params, context: make(), **stated)


def test_a_good_data_set_has_no_fault():
    assert faults(dataset(lambda: GOOD)) == []


@pytest.mark.parametrize(("make", "words"), DATASETS, ids=[words for _, words in DATASETS])
def test_a_planted_data_set_is_named(make, words):
    found = faults(dataset(make))
    assert any(words in fault.text for fault in found), [fault.text for fault in found]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"fingerprint": lambda params: str(random.SystemRandom().random())},
            "the fingerprint changes from call to call",
        ),
        ({"fingerprint": lambda params: 3}, "the fingerprint is 3, not a short text"),
        ({"recommends": {"augmentation": "afine"}}, "recommends: unknown augmentation 'afine'; did you mean 'affine'?"),
        ({"recommends": {"augmentations": "affine"}}, "recommends augmentations; allowed: augmentation"),
    ],
)
def test_what_the_spec_of_a_data_set_states_is_checked(more, words):
    found = faults(dataset(lambda: GOOD, **more))
    assert any(words in fault.text for fault in found), [fault.text for fault in found]


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
