from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sslbench import BuildContext
from sslbench.hooks.registry import Registry


@pytest.fixture(scope="module")
def digits():
    spec = Registry().get("dataset", "digits")
    return spec.build(spec.params(), BuildContext())


def test_the_splits_are_scikit_learns_images_each_once(digits):
    whole = load_digits()
    indices = [int(path.removeprefix("digits/")) for name in ("train", "test") for path in digits.split(name).paths]
    assert sorted(indices) == list(range(1797))
    images = torch.cat([digits.split(name).images for name in ("train", "test")])
    labels = torch.cat([digits.split(name).labels for name in ("train", "test")])
    assert np.array_equal(images[:, 0].numpy(), np.rint(whole.images[indices] * 255 / 16).astype(np.uint8))
    assert np.array_equal(labels.numpy(), whole.target[indices])
    assert torch.equal(images[:, 0], images[:, 2])


def test_a_fifth_of_each_class_is_for_testing(digits):
    assert (len(digits.split("train")), len(digits.split("test"))) == (1437, 360)
    share = (
        digits.split("test").labels.bincount()
        / torch.cat([digits.split(n).labels for n in ("train", "test")]).bincount()
    )
    assert ((share - 0.2).abs() < 0.01).all()


def test_statistics_are_of_the_training_split(digits):
    values = digits.split("train").images.double() / 255
    assert digits.mean == pytest.approx(values.mean(dim=(0, 2, 3)).tolist())
    assert digits.std == pytest.approx(values.std(dim=(0, 2, 3), correction=0).tolist())
