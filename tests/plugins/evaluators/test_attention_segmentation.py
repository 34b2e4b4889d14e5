"""Masks and their overlap against plain loops; heads chosen on training images; images without objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import jaccard_score

from sslbench.testing.fakes import TinyReconstructor
from sslbench_plugins.evaluators.attention_segmentation import (
    AttentionSegmentation,
    AttentionSegmentationParams,
    jaccard,
    object_masks,
    strongest,
)


def evaluate(data, **given):
    return {m.name: m for m in AttentionSegmentation(AttentionSegmentationParams(**given)).evaluate(data)}


def plain_kept(attention, mass):
    """The authors' rule: sort upwards, and keep a patch once those so far hold more than 1 - mass."""
    order = sorted(range(len(attention)), key=lambda patch: attention[patch])
    total, so_far, kept = sum(attention), 0.0, set()
    for patch in order:
        so_far += attention[patch] / total
        if so_far > 1 - mass:
            kept.add(patch)
    return kept


@pytest.mark.parametrize("mass", [0.1, 0.6, 0.95])
def test_the_strongest_patches_hold_the_mass(mass):
    attention = torch.rand(3, 4, 16, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    kept = strongest(attention, mass)
    for row, chosen in zip(attention.double().flatten(0, 1), kept.flatten(0, 1), strict=True):
        assert set(chosen.nonzero()[:, 0].tolist()) == plain_kept(row.tolist(), mass)
        share = float(row[chosen].sum() / row.sum())
        weakest = float(row[chosen].min() / row.sum())
        assert share >= mass - 1e-9
        assert share - weakest < mass + 1e-9


def test_patches_as_strong_as_the_weakest_kept_one_are_kept():
    assert strongest(torch.tensor([0.4, 0.2, 0.2, 0.2]), 0.5).tolist() == [True] * 4
    assert strongest(torch.full((5,), 0.1), 0.3).all()


def test_objects_by_value_together_and_the_main_one():
    maps = torch.tensor([[[0, 1], [2, 255]], [[0, 0], [2, 2]]], dtype=torch.uint8)
    each = object_masks(maps, "each")
    assert each.shape == (2, 2, 2, 2)
    assert each[0].tolist() == [[[False, True], [False, False]], [[False, False], [False, False]]]
    assert each[1].tolist() == [[[False, False], [True, False]], [[False, False], [True, True]]]
    assert object_masks(maps, "all")[0].tolist() == [[[False, True], [True, False]], [[False, False], [True, True]]]
    assert torch.equal(object_masks(maps, "main")[0], maps == 1)
    assert object_masks(torch.zeros_like(maps), "each").shape == (1, 2, 2, 2)


def test_the_index_is_scikit_learns_on_pixels():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 3, (4, 12, 12), generator=generator, dtype=torch.uint8)
    maps[:, 0, :3], maps[3][maps[3] == 2] = 255, 0
    kept = torch.rand(4, 2, 9, generator=generator) < 0.5
    known = maps != 255
    overlaps = jaccard(kept, object_masks(maps, "each"), known)
    assert overlaps.shape == (4, 2, 2)
    pixels = kept.view(4, 2, 3, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
    for image in range(4):
        for head in range(2):
            for number in range(2):
                true = maps[image] == number + 1
                if not true.any():
                    assert overlaps[image, head, number].isnan()
                    continue
                counted = known[image]
                expected = jaccard_score(true[counted], pixels[image, head][counted])
                assert float(overlaps[image, head, number]) == pytest.approx(expected)


class AttentiveReconstructor(TinyReconstructor):
    """Head 1 attends to bright patches, head 2 to dark ones, head 3 to the first patch."""

    def __init__(self):
        super().__init__(16)

        def attention(images):
            light = torch.nn.functional.avg_pool2d(images.mean(dim=1), 4).flatten(1)
            bright = torch.where(light > light.mean(dim=1, keepdim=True), 3.0, -3.0)
            first = torch.zeros_like(light)
            first[:, 0] = 9
            return torch.stack([bright, -bright, first], dim=1).softmax(dim=-1)

        self.backbone.attention = attention


def attentive(seed):
    torch.manual_seed(seed)
    return AttentiveReconstructor()


def quadrants(split):
    """Two objects: the left and the right side of the bright half."""
    masks = split.maps["mask"].clone()
    masks[:, :, 8:] *= 2
    return replace(split, maps={"mask": masks})


def test_a_head_that_attends_to_the_object_is_chosen(scenes, changed):
    metrics = evaluate(scenes(None, attentive))
    heads = [metrics[f"attention_jaccard@{head}"].value for head in (1, 2, 3)]
    assert heads[0] > 0.7
    assert heads[1] < 0.2
    assert metrics["attention_jaccard"].value == heads[0]
    assert metrics["attention_jaccard_all_heads"].value == pytest.approx(sum(heads) / 3)
    assert metrics["attention_jaccard_oracle"].value >= heads[0]


def test_values_are_those_of_the_definition(scenes, changed):
    data = scenes(changed(quadrants))
    model, rows = data.model, torch.arange(32)
    maps = model.maps("test", "mask", rows)
    attention = model.method.encoder.attention(model.images("test", rows))
    scores = torch.zeros(32, 2, 2)
    for image in range(32):
        for head in range(2):
            kept = torch.zeros(16, dtype=torch.bool)
            kept[list(plain_kept(attention[image, head].double().tolist(), 0.6))] = True
            pixels = kept.view(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)
            for number in range(2):
                scores[image, head, number] = jaccard_score((maps[image] == number + 1).flatten(), pixels.flatten())
    metrics = evaluate(data)
    for head in range(2):
        assert metrics[f"attention_jaccard@{head + 1}"].value == pytest.approx(float(scores[:, head].mean()), abs=1e-6)
    oracle = scores.amax(dim=1).mean(dim=1)
    assert metrics["attention_jaccard_oracle"].per_image.tolist() == pytest.approx(oracle.tolist(), abs=1e-6)
    assert metrics["attention_jaccard_oracle"].value == pytest.approx(float(oracle.mean()), abs=1e-6)


def test_the_head_is_chosen_on_training_images(scenes, changed):
    """Where the test maps are those of the dark half, another head would be the best."""
    turned = changed(lambda split: replace(split, maps={"mask": 1 - split.maps["mask"]}) if len(split) == 32 else split)
    metrics = evaluate(scenes(turned, attentive))
    assert metrics["attention_jaccard@2"].value > 0.5
    assert metrics["attention_jaccard"].value == metrics["attention_jaccard@1"].value < 0.2


def test_two_objects_are_two_tasks_or_one(scenes, changed):
    data = scenes(changed(quadrants), attentive)
    each, one = evaluate(data)["attention_jaccard"].value, evaluate(data, objects="all")["attention_jaccard"].value
    main = evaluate(data, objects="main")["attention_jaccard"].value
    assert one > each + 0.2
    assert one > main + 0.2
    assert one == evaluate(scenes(None, attentive), objects="all")["attention_jaccard"].value


def test_images_without_an_object_are_left_out(scenes, changed):
    def some(split):
        masks = split.maps["mask"].clone()
        masks[:10] = 0
        return replace(split, maps={"mask": masks})

    metrics, whole = evaluate(scenes(changed(some), attentive)), evaluate(scenes(None, attentive))
    rest = whole["attention_jaccard"].per_image[10:]
    assert metrics["attention_jaccard"].value == pytest.approx(float(rest.mean()))
    assert metrics["attention_jaccard"].per_image is None
    assert whole["attention_jaccard"].per_image.shape == (32,)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("objects", ["each", "all", "main"])
def test_without_any_object_nothing_is_measured(scenes, changed, value, objects):
    none = changed(lambda split: replace(split, maps={"mask": torch.full_like(split.maps["mask"], value)}))
    metrics = evaluate(scenes(none, attentive), objects=objects)
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, "no train image has an object")}


def test_attention_that_is_the_same_everywhere_is_no_mask(scenes, changed):
    blank = changed(lambda split: replace(split, images=torch.full_like(split.images, 90)))
    metrics = evaluate(scenes(blank))
    reason = "attention to train images is the same for every patch: no mask can be made of it"
    assert {(m.value, m.reason) for m in metrics.values()} == {(None, reason)}


def test_heads_are_reported_or_not(scenes):
    assert set(evaluate(scenes())) - set(evaluate(scenes(), per_head=False)) == {
        "attention_jaccard@1",
        "attention_jaccard@2",
    }


def test_a_few_training_images_are_enough_to_choose(scenes):
    assert evaluate(scenes(None, attentive), train_images=2)["attention_jaccard"].value > 0.7


@pytest.mark.parametrize("mass", [0, 1])
def test_all_or_nothing_of_the_mass_is_refused(mass):
    with pytest.raises(ValidationError, match="mass"):
        AttentionSegmentationParams(mass=mass)
