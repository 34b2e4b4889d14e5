from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from sslbench.contracts.dataset import Split
from sslbench.train.data import make_splits


@dataclass(frozen=True)
class Photos:
    """A data set of two splits, as they are given."""

    train: Split
    test: Split
    classes: tuple[str, ...] = ("healthy", "sick")
    image_size: int = 4
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def split(self, name):
        return getattr(self, name)


class OnDemand:
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        return self.images[indices]


def images(first, count):
    """uint8 images, no two of which are equal, of any first number."""
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(first, first + count)
    return pixels


TRAIN = Split(images(0, 80), torch.tensor([0] * 70 + [1] * 10))
TEST = Split(images(80, 20), torch.tensor([0] * 15 + [1] * 5))


def facts_of(train=TRAIN, test=TEST, evaluate_on="test", train_images=None, fingerprint=None, **others):
    data = Photos(train, test, **others)
    return make_splits(data, evaluate_on=evaluate_on, train_images=train_images, image_size=None).facts(fingerprint)


def test_images_classes_and_the_share_of_the_largest_are_counted():
    facts = facts_of(fingerprint="f")
    assert (facts.train_images, facts.test_images, facts.evaluated_on) == (80, 20, "test")
    assert (facts.classes, facts.classes_evaluated) == (2, 2)
    assert (facts.majority_class, facts.majority_share) == ("healthy", 0.75)
    assert (facts.image_size, facts.sides, facts.fingerprint) == (4, None, "f")
    assert (facts.duplicates, facts.why_not_compared, facts.left_out) == (0, None, {})


def test_the_share_is_that_of_the_images_to_evaluate_on_not_of_those_to_train_on():
    facts = facts_of(test=replace(TEST, labels=torch.ones(20, dtype=torch.int64)))
    assert (facts.majority_class, facts.majority_share) == ("sick", 1.0)
    assert (facts.classes, facts.classes_evaluated) == (2, 1)


def test_without_labels_there_is_no_largest_class():
    facts = facts_of(replace(TRAIN, labels=None), replace(TEST, labels=None), classes=())
    assert (facts.classes, facts.classes_evaluated, facts.majority_class, facts.majority_share) == (None,) * 4


@pytest.mark.parametrize(
    ("evaluate_on", "held_out", "counts", "whose"),
    [("test", False, (80, 20), "test"), ("test", True, (80, 20), "all"), ("validation", True, (64, 16), "train")],
)
def test_whose_images_are_evaluated_on(evaluate_on, held_out, counts, whose):
    facts = facts_of(test=replace(TEST, held_out=held_out), evaluate_on=evaluate_on)
    assert (facts.train_images, facts.test_images) == counts
    assert facts.evaluated_on == whose


def test_a_cap_counts_the_images_that_are_trained_on():
    assert facts_of(train_images=30).train_images == 30


def test_images_without_labels_are_those_that_are_trained_on():
    facts = facts_of(replace(TRAIN, unlabelled=images(100, 150)))
    assert (facts.train_images, facts.test_images) == (150, 20)


def test_sides_and_what_is_left_out_are_of_both_splits():
    train = replace(TRAIN, sides=(400, 640), left_out={"cannot be read": 2})
    test = replace(TEST, sides=(410, 1024), left_out={"cannot be read": 1, "not an image": 3})
    facts = facts_of(train, test)
    assert facts.sides == (400, 1024)
    assert facts.left_out == {"cannot be read": 3, "not an image": 3}
    assert facts_of(train, test, evaluate_on="validation").left_out == {"cannot be read": 2}


def test_equal_images_in_memory_are_found_by_their_pixels():
    copies = torch.cat([images(0, 5), images(80, 15)])
    assert facts_of(test=replace(TEST, images=copies)).duplicates == 5
    facts = facts_of(replace(TRAIN, unlabelled=images(100, 50)), replace(TEST, images=images(90, 20)))
    assert facts.duplicates == 10, "images without labels are trained on as well"


def test_equal_images_on_demand_are_found_by_their_digests():
    train = replace(TRAIN, images=OnDemand(TRAIN.images), digests=[bytes([n]) for n in range(80)])
    test = replace(TEST, images=OnDemand(TEST.images), digests=[bytes([n]) for n in range(70, 90)])
    assert facts_of(train, test).duplicates == 10
    held_out = facts_of(train, test, evaluate_on="validation")
    assert (held_out.duplicates, held_out.test_images) == (0, 16)
    twice = facts_of(replace(train, digests=[bytes([n // 2]) for n in range(80)]), test, evaluate_on="validation")
    assert twice.duplicates > 0, "an image that lies in the folder twice is on both sides"


def test_images_on_demand_without_digests_are_not_compared_and_the_reason_is_kept():
    facts = facts_of(test=replace(TEST, images=OnDemand(TEST.images)))
    assert facts.duplicates is None
    assert facts.why_not_compared == "the images are read on demand, and the data set gives no digests of them"


def test_equal_images_to_train_on_and_those_of_two_classes_are_counted():
    digests = [bytes([number]) for number in range(100)]
    train = replace(
        TRAIN, digests=[*digests[:70], *digests[:4], *digests[74:80]]
    )  # four of `sick` equal `healthy` ones
    facts = facts_of(train, replace(TEST, digests=[digests[0], *digests[81:]]))
    assert (facts.repeated, facts.duplicates, facts.contradictory) == (4, 1, 9)
    alike = facts_of(replace(TRAIN, digests=digests[:80]), replace(TEST, digests=digests[80:]))
    assert (alike.repeated, alike.contradictory) == (0, 0)
    unknown = facts_of()
    assert (unknown.repeated, unknown.contradictory) == (None, None)
