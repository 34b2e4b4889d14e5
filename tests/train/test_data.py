from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sslbench.contracts.dataset import Split
from sslbench.errors import UserError
from sslbench.testing.fakes import TinyDataset
from sslbench.train.data import Batches, held_out, make_splits, pick


def numbered(count):
    """Images that carry their number in the first pixel."""
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count)
    return Split(images, torch.arange(count) % 3, {"f": torch.arange(count)}, [f"p{i}" for i in range(count)])


def numbers(batches):
    return [batch.images[:, 0, 0, 0].tolist() for batch in batches]


def test_every_epoch_has_its_own_order_and_each_image_at_most_once():
    batches = Batches(numbered(20), 6, seed=0, device=torch.device("cpu"))
    assert batches.steps_per_epoch == 3
    first, second = numbers(batches.epoch(0)), numbers(batches.epoch(1))
    assert first != second
    assert len({n for batch in first for n in batch}) == 18
    assert numbers(batches.epoch(0)) == first


def test_an_epoch_can_be_entered_in_the_middle():
    batches = Batches(numbered(20), 6, seed=3, device=torch.device("cpu"))
    assert numbers(batches.epoch(4, start=2)) == numbers(batches.epoch(4))[2:]


def test_seeds_differ_in_their_order():
    orders = [numbers(Batches(numbered(20), 6, seed, torch.device("cpu")).epoch(0)) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_a_batch_is_never_larger_than_the_split():
    assert Batches(numbered(5), 64, 0, torch.device("cpu")).batch_size == 5


class OnDemand:
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        return self.images[indices]


@pytest.mark.parametrize("wrap", [lambda images: images, OnDemand])
def test_picking_keeps_images_labels_factors_and_paths_together(wrap):
    whole = numbered(10)
    maps = {"mask": wrap(whole.images[:, 0])}
    split = Split(wrap(whole.images), whole.labels, whole.factors, whole.paths, maps=maps)
    part = pick(split, torch.tensor([7, 2, 5]))
    assert part.images[torch.arange(3)][:, 0, 0, 0].tolist() == [7, 2, 5]
    assert part.maps["mask"][torch.arange(3)][:, 0, 0].tolist() == [7, 2, 5]
    assert (part.labels.tolist(), part.factors["f"].tolist(), list(part.paths)) == (
        [1, 2, 2],
        [7, 2, 5],
        ["p7", "p2", "p5"],
    )
    assert len(part) == 3


def test_holding_out_is_stratified_fixed_and_disjoint():
    split = numbered(60)
    keep, held = held_out(split)
    assert sorted([*keep.tolist(), *held.tolist()]) == list(range(60))
    assert split.labels[held].bincount().tolist() == [4, 4, 4]
    assert torch.equal(held, held_out(split)[1])


def splits_with(**options):
    given = {"evaluate_on": "test", "train_images": None, "image_size": None, **options}
    return make_splits(TinyDataset(), **given)


def test_the_whole_data_set_by_default():
    data = splits_with()
    assert (len(data.train), len(data.test), data.image_size, data.classes, data.notes) == (64, 32, 8, 2, ())


def test_validation_never_reads_the_test_split():
    class NoTest(TinyDataset):
        def split(self, name):
            assert name == "train"
            return super().split(name)

    data = make_splits(NoTest(), evaluate_on="validation", train_images=None, image_size=None)
    assert (len(data.train), len(data.test)) == (52, 12)
    assert (data.evaluated_on, data.notes) == ("train", ())


def test_a_cap_on_training_images_is_a_fixed_subset_and_is_noted():
    first, second = splits_with(train_images=10), splits_with(train_images=10)
    assert torch.equal(first.train.images, second.train.images)
    assert first.notes == ("training on a fixed random 10 of 64 images (train_images)",)


def test_too_few_images_are_an_error():
    with pytest.raises(UserError, match="the training split holds 1 images; at least 2 are needed"):
        make_splits(TinyDataset(train_images=1), evaluate_on="test", train_images=None, image_size=None)
    with pytest.raises(UserError, match="the split to evaluate on holds no image"):
        make_splits(TinyDataset(test_images=0), evaluate_on="test", train_images=None, image_size=None)


class WithMore(TinyDataset):
    """A training split of 64 images, and 100 others without labels."""

    def split(self, name):
        split = super().split(name)
        return replace(split, unlabelled=numbered(100).images) if name == "train" else split


@pytest.mark.parametrize(("evaluate_on", "labelled"), [("test", 64), ("validation", 52)])
@pytest.mark.parametrize(("cap", "count"), [(None, 100), (70, 70), (200, 100)])
def test_methods_are_trained_on_images_without_labels_where_there_are_some(evaluate_on, labelled, cap, count):
    splits = make_splits(WithMore(), evaluate_on=evaluate_on, train_images=cap, image_size=None)
    assert (len(splits.train), len(splits.pretraining)) == (labelled, count)
    assert splits.pretraining.labels is None
    assert any(f"evaluating on {labelled} others that have them" in note for note in splits.notes)
    assert any("(train_images)" in note for note in splits.notes) == (count < 100)
    batches = Batches(splits.pretraining, 10, 0, torch.device("cpu"))
    assert batches.steps_per_epoch == count // 10


def test_without_them_it_is_the_training_split():
    splits = splits_with()
    assert splits.pretraining is splits.train
