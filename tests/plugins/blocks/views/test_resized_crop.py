from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench_plugins.blocks.views.resized_crop import (
    Boxes,
    BoxRange,
    crop_by_taps,
    numbers_of_boxes,
    random_boxes,
    resized_crop,
    resized_crop_of_image,
)


def drawn_boxes(batch, image, scale, generator):
    return random_boxes(numbers_of_boxes(batch, generator), image, BoxRange(scale, (3 / 4, 4 / 3)))


def boxes_of(*rows):
    return Boxes(*torch.tensor(rows).T)


@pytest.mark.parametrize("crop", [resized_crop, crop_by_taps])
@pytest.mark.parametrize("image", [(32, 32), (40, 23), (7, 64)])
@pytest.mark.parametrize("size", [8, 32, 48])
def test_each_sample_is_torchvisions_resized_crop_of_its_box(image, size, crop):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (16, 3, *image), generator=generator, dtype=torch.uint8)
    boxes = drawn_boxes(16, image, (0.08, 1.0), generator)
    flip = torch.rand(16, generator=generator) < 0.5
    ours = crop(images, boxes, size, flip)
    for index, (top, left, height, width) in enumerate(torch.stack(boxes, dim=1).tolist()):
        theirs = reference.resized_crop(images[index] / 255, top, left, height, width, [size, size], antialias=True)
        theirs = reference.horizontal_flip(theirs) if flip[index] else theirs
        assert torch.allclose(ours[index], theirs.clamp(0, 1), atol=2e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [96, 224])
def test_a_large_crop_is_torchvisions_of_the_uint8_image(size, layout):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 3, 150, 190), generator=generator, dtype=torch.uint8).to(memory_format=layout)
    boxes = torch.stack(drawn_boxes(6, (150, 190), (0.08, 1.0), generator), dim=1).tolist()
    for image, box, flip in zip(images, boxes, [True, False] * 3, strict=True):
        ours = resized_crop_of_image(image, box, size, flip, torch.empty(3, size, size))
        theirs = reference.resized_crop(image, *box, [size, size], antialias=True)
        theirs = reference.horizontal_flip(theirs) if flip else theirs
        # One step of 255: which way a sum of weights is rounded depends on the layout of the image in memory.
        assert (ours - theirs / 255).abs().max() <= 1.01 / 255


def test_the_whole_image_at_its_own_size_is_the_image():
    images = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8)
    out = resized_crop(images, boxes_of((0, 0, 9, 9), (0, 0, 9, 9)), 9)
    assert torch.allclose(out, images / 255, atol=1e-6)


def test_boxes_lie_inside_with_the_asked_area_and_aspect():
    boxes = drawn_boxes(5000, (200, 300), (0.2, 0.6), torch.Generator().manual_seed(0))
    top, left, height, width = boxes
    assert top.min() >= 0
    assert left.min() >= 0
    assert (top + height).max() <= 200
    assert (left + width).max() <= 300
    share = height * width / 60_000
    assert 0.19 < share.min() < 0.21
    assert 0.58 < share.max() < 0.62
    aspect = (width / height).log()
    assert aspect.abs().max() < math.log(4 / 3) + 0.03
    assert abs(aspect.mean()) < 0.01


def test_boxes_reach_every_border():
    top, left, height, width = drawn_boxes(4000, (20, 20), (0.1, 0.9), torch.Generator().manual_seed(1))
    assert (top == 0).any()
    assert (left == 0).any()
    assert (top + height == 20).any()
    assert (left + width == 20).any()


@pytest.mark.parametrize(("image", "expected"), [((10, 200), (0, 93, 10, 13)), ((200, 10), (93, 0, 13, 10))])
def test_where_no_box_fits_the_largest_one_in_the_middle_is_taken(image, expected):
    boxes = drawn_boxes(8, image, (1.0, 1.0), torch.Generator().manual_seed(0))
    assert {tuple(row) for row in torch.stack(boxes, dim=1).tolist()} == {expected}
