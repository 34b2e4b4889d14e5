"""Pictures of a training's views and masks: what is in them, and that the training does not notice them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.dataset import Split
from sslbench.train.view_pictures import (
    GREY,
    ShownImages,
    ShownMasking,
    masked,
    masks_picture,
    spread_over_classes,
    views_picture,
)
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
    images = ShownImages(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    for requests, columns in (((("global",) * 1), 6), (("global",) * 2, 6), (("global",) * 2 + ("local",) * 8, 10)):
        asked = tuple(ViewRequest(kind, 8 if kind == "global" else 4) for kind in requests)
        picture = views_picture(images, CentreViews(), asked, "none", seed=0)
        assert f"and {columns} random views of it by augmentation none" in picture.caption
        assert picture.image.shape[-1] == 8 + (columns + 1) * (80 + 8)


def test_the_caption_of_masks_counts_the_patches():
    images = ShownImages(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), ["a", "b"])
    picture = masks_picture(images, ShownMasking("random:ratio=0.6", RandomMasking(), (4, 8), 0.6), seed=0)
    assert "20 of 32 patches of 8 x 4 px are masked (grey), 12 are visible (38%)" in picture.caption


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


CAREFREE = """
    import torch
    from sslbench import AugmentationSpec, centre_view, hookimpl

    class Carefree:
        def view(self, index, kind, size):
            def transform(images, generator):
                torch.rand(3)
                return centre_view(images, size)
            return transform

    @hookimpl
    def sslbench_augmentations():
        return [AugmentationSpec(name="carefree", build=lambda params, context: Carefree())]
"""


@pytest.mark.parametrize(("method", "names"), [("simclr", ["views"]), ("mae", ["views", "masks"]), ("random-init", [])])
def test_a_pretraining_keeps_pictures_of_what_it_is_trained_on(tmp_path, small_work, do_work, method, names):
    from sslbench.contracts.executor import PluginChoice
    from sslbench.store.artifacts import pretraining_files
    from sslbench.store.pictures import OF_PRETRAINING, read_pictures

    plugins = {
        "backbone": PluginChoice("vit-tiny-small-image", {"dim": 24, "depth": 1, "heads": 2}),
        "masking": PluginChoice("block") if method == "mae" else None,
    }
    choice = PluginChoice(
        method, {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2} if method == "mae" else {}
    )
    work = small_work(tmp_path, choice, plugins=plugins, training={"epochs": 1})
    done = do_work(work)
    assert [record.status for record in done.records] == ["done"]
    pictures = read_pictures(pretraining_files(tmp_path, work.key).pictures(OF_PRETRAINING))
    assert [picture.name for picture in pictures] == names
    for picture in pictures:
        assert picture.png.startswith(b"\x89PNG")
