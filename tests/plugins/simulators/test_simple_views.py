from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from sslbench_plugins.simulators.augmentation_analyzer.tables import VIEWS, bilinear, crop

IMAGE = RandomState(0).uniform(0, 255, (1, 3, 64, 64))
BATCH = RandomState(1).uniform(0, 255, (5, 3, 64, 64))


def test_a_crop_is_48_pixels_at_a_uniform_position_resized_as_torch_does():
    draws = 7
    rng = RandomState(3)
    top, left = rng.randint(0, 17, (2, draws))
    cut = np.stack([IMAGE[0, :, t : t + 48, x : x + 48] for t, x in zip(top, left, strict=True)])
    plain = torch.nn.functional.interpolate(torch.from_numpy(cut), (64, 64), mode="bilinear", align_corners=False)
    assert np.abs(crop(IMAGE, RandomState(3), draws) - plain.numpy()).max() < 1e-9


def test_every_position_of_a_crop_occurs():
    image = np.zeros((1, 3, 64, 64))
    image[0, :] = np.arange(64.0)
    shifts = crop(image, RandomState(0), 400)[:, 0, 0, 0]
    assert sorted(set(np.round(shifts).astype(int))) == list(range(17))


def test_each_image_of_a_batch_is_cropped_itself():
    crops = crop(BATCH, RandomState(4), 5)
    assert crops.shape == BATCH.shape
    again = [crop(np.repeat(BATCH[i : i + 1], 5, axis=0), RandomState(4), 5)[i] for i in range(5)]
    assert np.abs(crops - np.stack(again)).max() < 1e-9


def test_the_other_views_by_their_definition():
    factors = RandomState(5).uniform(0.8, 1.2, 5)
    plain = {
        "flip": BATCH[:, :, :, ::-1],
        "brightness": np.stack([np.clip(f * x, 0, 255) for f, x in zip(factors, BATCH, strict=True)]),
        "blur": np.stack([[gaussian_filter(channel, 2.0) for channel in image] for image in BATCH]),
        "greyscale": np.stack([[image.mean(axis=0)] * 3 for image in BATCH]),
    }
    assert {"crop", *plain} == set(VIEWS)
    for name, expected in plain.items():
        assert np.abs(VIEWS[name](BATCH, RandomState(5), 5) - expected).max() < 1e-9, name


@pytest.mark.parametrize("name", VIEWS)
def test_views_do_not_change_their_input_and_stay_in_range(name):
    before = BATCH.copy()
    views = VIEWS[name](BATCH, RandomState(0), 5)
    assert (before == BATCH).all()
    assert views.min() >= 0
    assert views.max() <= 255 + 1e-9


@pytest.mark.parametrize(("inputs", "outputs"), [(48, 64), (6, 8), (1, 2), (8, 8)])
def test_the_resizing_matrix_averages(inputs, outputs):
    matrix = bilinear(inputs, outputs)
    assert matrix.shape == (outputs, inputs)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(outputs))
    assert matrix.min() >= 0
