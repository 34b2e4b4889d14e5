from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.method import InputSpec
from sslbench.train.views import EvaluationView, Normalise, TrainingViews, centre_view


def test_normalise_equals_torchvisions():
    images = torch.rand(4, 3, 5, 6)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = reference.normalize(images, mean, std)
    assert torch.allclose(Normalise(mean, std, "cpu")(images), expected, atol=1e-6)


def test_a_channel_without_spread_is_centred_only():
    out = Normalise([0.5, 0.5, 0.5], [0.0, 1.0, 1.0], "cpu")(torch.ones(1, 3, 2, 2))
    assert torch.allclose(out, torch.full((1, 3, 2, 2), 0.5))


@pytest.mark.parametrize("shape", [(20, 20), (30, 20), (21, 47), (8, 9)])
def test_the_view_for_evaluation_is_a_resize_and_a_centre_crop(shape):
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


def test_each_view_is_requested_by_its_index_and_size():
    requests = (ViewRequest("global", 8), ViewRequest("local", 4))
    views = TrainingViews(Counting(), requests, Normalise([0, 0, 0], [1, 1, 1], "cpu"))
    first, second = views(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.Generator())
    assert (first.shape, second.shape) == ((2, 3, 8, 8), (2, 3, 4, 4))
    assert (first[0, 0, 0, 0].item(), second[0, 0, 0, 0].item()) == (0.0, pytest.approx(0.1))


def view_of(shape, size, crop):
    """An image whose first two channels hold their row and column, and its view: rows, columns ``[size, size]``."""
    rows, cols = torch.meshgrid(*(torch.arange(side) for side in shape), indexing="ij")
    image = torch.stack([rows, cols, cols]).to(torch.uint8)[None]
    view = EvaluationView(InputSpec(size, (0, 0, 0), (1, 1, 1), crop), "cpu")
    return view(image)[0, :2] * 255, view.of_maps(torch.stack([rows, cols]))


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.6])
@pytest.mark.parametrize("shape", [(20, 20), (16, 16), (30, 21), (21, 47), (17, 19), (10, 10)])
def test_maps_show_the_pixels_that_the_image_shows(shape, crop):
    image, maps = view_of(shape, 16, crop)
    assert maps.shape == image.shape
    # The pixel whose area holds the centre of the view's pixel is at most half a pixel away from it. At the image's
    # edge the antialiasing filter is cut, which draws its mean inwards.
    inner = slice(2, -2)
    assert (maps - image)[:, inner, inner].abs().max() <= 0.5 + 1e-3
    assert (maps - image).abs().max() <= 1.5


def test_maps_of_the_right_size_are_as_they_were():
    maps = torch.randint(0, 5, (2, 8, 8), dtype=torch.uint8)
    assert torch.equal(EvaluationView(InputSpec(8, (0, 0, 0), (1, 1, 1)), "cpu").of_maps(maps), maps)


def test_maps_keep_their_dtype_and_invent_no_value():
    maps = torch.tensor([0, 3, 255], dtype=torch.uint8)[torch.randint(0, 3, (2, 13, 17))]
    out = EvaluationView(InputSpec(8, (0, 0, 0), (1, 1, 1), 0.9), "cpu").of_maps(maps)
    assert out.dtype == torch.uint8
    assert set(out.unique().tolist()) <= {0, 3, 255}


def test_maps_are_those_of_torchs_nearest_exact():
    """Of the whole map, then the crop."""
    maps = torch.rand(2, 21, 47)
    size, target = 16, (16, 36)
    whole = torch.nn.functional.interpolate(maps[:, None], target, mode="nearest-exact")[:, 0]
    out = EvaluationView(InputSpec(size, (0, 0, 0), (1, 1, 1)), "cpu").of_maps(maps)
    assert torch.equal(out, whole[:, :, 10:26])


def test_a_larger_crop_shows_less_of_the_image():
    image, _ = view_of((32, 32), 16, 0.5)
    assert image[0].min() > 7
    assert image[0].max() < 25
