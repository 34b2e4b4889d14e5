"""Pictures of a training's views and masks: what is in them, and that the training does not notice them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sslbench import MaskRequest
from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.dataset import Split
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import Method
from sslbench.contracts.params import MethodParams
from sslbench.store.artifacts import pretraining_files
from sslbench.store.pictures import OF_PRETRAINING, read_pictures
from sslbench.train.data import Splits
from sslbench.train.mask_pictures import GREY, ShownMasking, masked, masks_picture
from sslbench.train.shown_images import LabelledImages, spread_over_classes
from sslbench.train.task import TrainingTask
from sslbench.train.view_pictures import view_pictures, views_picture
from sslbench.train.views import centre_view
from sslbench_plugins.augmentations.none import CentreViews
from sslbench_plugins.maskings.random import RandomMasking


def split_of(labels):
    return Split(torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8), torch.tensor(labels))


def test_images_are_spread_over_classes():
    labels = [0] * 50 + [1] * 3 + [2]
    chosen = [labels[index] for index in spread_over_classes(split_of(labels), 7, seed=0)]
    assert sorted(chosen[:3]) == [0, 1, 2]
    assert sorted(chosen[3:5]) == [0, 1]
    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2]
    assert spread_over_classes(split_of(labels), 7, seed=1) != spread_over_classes(split_of(labels), 7, seed=0)


def test_without_labels_any_image_may_be_shown():
    split = Split(torch.zeros(9, 3, 2, 2, dtype=torch.uint8))
    assert sorted(spread_over_classes(split, 20, seed=0)) == list(range(9))


def test_masked_patches_are_grey_and_the_others_as_they_were():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    mask = torch.tensor([[True, False, False, False], [False, False, True, True]])
    seen = masked(images, mask, (2, 2))
    assert bool((seen[0, :, :2, :2] == GREY).all())
    assert bool((seen[1, :, 2:] == GREY).all())
    assert torch.equal(seen[0, :, :, 2:], images[0, :, :, 2:])
    assert torch.equal(seen[0, :, 2:], images[0, :, 2:])
    assert torch.equal(seen[1, :, :2], images[1, :, :2])


def test_a_view_is_drawn_again_where_a_method_asks_for_few():
    images = LabelledImages(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    for requests, columns in (((("global",) * 1), 6), (("global",) * 2, 6), (("global",) * 2 + ("local",) * 8, 10)):
        asked = tuple(ViewRequest(kind, 8 if kind == "global" else 4) for kind in requests)
        picture = views_picture(images, CentreViews(), asked, "none", seed=0)
        assert f"and {columns} random views of it by augmentation none" in picture.caption
        assert picture.image.shape[-1] == 8 + (columns + 1) * (80 + 8)


def test_the_caption_of_masks_counts_the_patches():
    images = LabelledImages(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [0, 1], ["a", "猫"])
    picture = masks_picture(images, ShownMasking("random:ratio=0.6", RandomMasking(), (4, 8), 0.6), seed=0)
    assert "20 of 32 patches of 8 x 4 px are masked (grey), 12 are visible (38%)" in picture.caption
    assert picture.caption.endswith("Names that the picture cannot write: class 1 is 猫.")


class Halves:
    """The left half is the context, the upper right the first of two targets, the lower right the second."""

    def sample(self, batch, grid, ratio, generator):
        raise AssertionError("context and targets are shown")

    def sample_targets(self, batch, grid, ratio, generator):
        context, targets = torch.tensor([[0, 1, 4, 5]]), torch.tensor([[[2, 3], [6, 7]]])
        return context.expand(batch, -1), targets.expand(batch, -1, -1)


def test_context_and_targets_stand_side_by_side():
    images = LabelledImages(torch.zeros(1, 3, 16, 32, dtype=torch.uint8))
    picture = masks_picture(images, ShownMasking("halves", Halves(), (2, 4), 0.5), seed=0)
    assert (
        "and 3 masks drawn for it by masking halves: context: 4 of 8 patches of 8 x 8 px are masked (grey), 4 are"
        " visible (50%); targets: 4 of 8 patches of 8 x 8 px are masked (grey), 4 are visible (50%)."
    ) in picture.caption


def test_images_that_are_masked_unlike_are_counted_from_the_least_to_the_most():
    images = LabelledImages(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))
    asked = (MaskRequest(0, spread=0.25, share=0.5), MaskRequest(1))
    picture = masks_picture(images, ShownMasking("random", RandomMasking(), (4, 4), 0.5, asked), seed=0)
    assert "by masking random: 6 to 10 of 16 patches of 8 x 8 px, or none, are masked (grey)." in picture.caption


class Carefree:
    """An augmentation that draws from the generators of everybody."""

    def view(self, index, kind, size):
        def transform(images, generator):
            torch.rand(3)
            np.random.rand()
            random.random()
            return centre_view(images, size)

        return transform


class Simple(Method):
    """One view of every image."""

    def __init__(self):
        super().__init__()
        self.encoder_ = nn.Flatten()

    @property
    def views(self):
        return (ViewRequest("global", 8),)

    @property
    def encoder(self):
        return self.encoder_

    def forward(self, views, *, masks, progress):
        raise AssertionError("pictures need no step")


def task_of(augmentation, labels=True):
    images = torch.randint(0, 256, (10, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    split = Split(images, torch.arange(10) % 2 if labels else None)
    data = Splits(split, split, 2, 8, (0.5,) * 3, (0.25,) * 3, class_names=("猫", "dog"))
    return TrainingTask(method=Simple(), params=MethodParams(), data=data, augmentation=augmentation)


def test_nobody_elses_random_state_is_touched():
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    assert [picture.name for picture in view_pictures(task_of(Carefree()), "carefree", "", 0)] == ["views"]
    assert states() == before


def test_pictures_depend_on_the_seed_alone():
    first, again, other = (view_pictures(task_of(CentreViews()), "none", "", seed)[0].image for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert view_pictures(task_of(CentreViews(), labels=False), "none", "", 0)[0].image.shape[-1] < first.shape[-1]


SMALL_DECODER = {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2}


def pictures_in(folder, key="k0"):
    return read_pictures(pretraining_files(folder, key).pictures(OF_PRETRAINING))


@pytest.mark.parametrize(("method", "names"), [("simclr", ["views"]), ("mae", ["views", "masks"]), ("random-init", [])])
def test_a_pretraining_keeps_pictures_of_what_it_is_trained_on(tmp_path, small_work, do_work, method, names):
    masks = method == "mae"
    plugins = {
        "backbone": PluginChoice("vit-tiny-small-image", {"dim": 24, "depth": 1, "heads": 2}),
        "masking": PluginChoice("block") if masks else None,
    }
    choice = PluginChoice(method, SMALL_DECODER if masks else {})
    work = replace(small_work(tmp_path, choice, plugins=plugins), mask_ratio=0.75 if masks else None)
    assert [record.status for record in do_work(work).records] == ["done"]
    pictures = pictures_in(tmp_path)
    assert [picture.name for picture in pictures] == names
    if masks:
        assert "by masking block: 48 of 64 patches of 1 x 1 px are masked" in pictures[1].caption


def test_what_keeps_pictures_from_being_drawn_is_a_warning(tmp_path, small_work, do_work, monkeypatch):
    def failing(*arguments):
        raise ValueError("no ink")

    monkeypatch.setattr("sslbench.execute.pretraining.view_pictures", failing)
    done = do_work(small_work(tmp_path))
    assert [record.status for record in done.records] == ["done"]
    assert "no pictures of views are kept: ValueError: no ink" in done.warnings
    assert pictures_in(tmp_path) == []


def test_a_training_is_the_same_with_and_without_pictures(tmp_path, small_work, do_work, monkeypatch):
    drawn = do_work(small_work(tmp_path / "a"))
    monkeypatch.setattr("sslbench.execute.pretraining.view_pictures", lambda *arguments: [])
    plain = do_work(small_work(tmp_path / "b"))
    (first,), (second,) = drawn.records, plain.records
    assert first.metrics == second.metrics
    assert first.pretraining.losses == second.pretraining.losses
