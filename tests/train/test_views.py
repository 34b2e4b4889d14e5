from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench.hooks.contracts import ViewRequest
from sslbench.train.views import Normalise, TrainingViews, centre_view


def test_normalise_follows_torchvision():
    images = torch.rand(4, 3, 5, 6)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = reference.normalize(images, mean, std)
    assert torch.allclose(Normalise(mean, std, "cpu")(images), expected, atol=1e-6)


def test_a_channel_without_spread_is_centred_only():
    out = Normalise([0.5, 0.5, 0.5], [0.0, 1.0, 1.0], "cpu")(torch.ones(1, 3, 2, 2))
    assert torch.allclose(out, torch.full((1, 3, 2, 2), 0.5))


@pytest.mark.parametrize("shape", [(20, 20), (30, 20), (21, 47), (8, 9)])
def test_the_view_for_judging_is_a_resize_and_a_centre_crop(shape):
    images = torch.randint(0, 256, (3, 3, *shape), dtype=torch.uint8)
    values = images.float() / 255
    scale = 16 / min(shape)
    target = [max(16, round(side * scale)) for side in shape]
    expected = reference.center_crop(reference.resize(values, target, antialias=True), [16, 16])
    assert torch.allclose(centre_view(images, 16), expected, atol=1e-5)


def test_an_image_of_the_right_size_is_only_scaled():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(centre_view(images, 8), images.float() / 255)


class Counting:
    def view(self, index, kind, size):
        return lambda images, generator: torch.full((len(images), 3, size, size), index / 10)


def test_each_view_is_asked_for_by_its_index_and_size():
    wanted = (ViewRequest("global", 8), ViewRequest("local", 4))
    views = TrainingViews(Counting(), wanted, Normalise([0, 0, 0], [1, 1, 1], "cpu"))
    first, second = views(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.Generator())
    assert (first.shape, second.shape) == ((2, 3, 8, 8), (2, 3, 4, 4))
    assert (first[0, 0, 0, 0].item(), second[0, 0, 0, 0].item()) == (0.0, pytest.approx(0.1))
