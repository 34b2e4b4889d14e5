from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import pdist

from sslbench_plugins.evaluators.label_free import measures
from sslbench_plugins.evaluators.label_free.measures import alignment, directions, lidar, uniformity


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_alignment_is_the_mean_over_pairs_of_views():
    views = gaussian(7, 4, 5)
    unit = directions(views)
    pairs = [(unit[:, i] - unit[:, j]).square().sum(dim=1).mean() for i in range(4) for j in range(i)]
    assert alignment(views) == pytest.approx(float(torch.stack(pairs).mean()))


def test_alignment_runs_from_equal_to_opposite_views():
    one = gaussian(6, 1, 3)
    assert alignment(torch.cat([one, 5 * one], dim=1)) == pytest.approx(0, abs=1e-12)
    assert alignment(torch.cat([one, -one], dim=1)) == pytest.approx(4)


@pytest.mark.parametrize("rows", [3, 1024])
def test_uniformity_is_the_formula_of_the_paper_whatever_is_in_memory_at_once(rows, monkeypatch):
    monkeypatch.setattr(measures, "ROWS", rows)
    features = gaussian(40, 5)
    expected = math.log(np.exp(-2 * pdist(directions(features).numpy(), "sqeuclidean")).mean())
    assert uniformity(features) == pytest.approx(expected)


def test_one_point_is_not_uniform_and_a_wide_sphere_is():
    assert uniformity(torch.ones(10, 4)) == pytest.approx(0, abs=1e-12)
    assert uniformity(gaussian(400, 2000)) == pytest.approx(-4, abs=0.05)


def test_a_zero_vector_has_no_direction():
    with pytest.raises(ValueError, match="1 of 3 feature vectors are zero and have no direction"):
        uniformity(torch.tensor([[1.0, 0], [0, 0], [0, 1]]))


@pytest.mark.parametrize(("images", "width"), [(30, 6), (6, 30)])
def test_lidar_is_the_formula_of_the_paper(images, width):
    views = (gaussian(images, 1, width) + 0.5 * gaussian(images, 5, width, seed=1)).double()
    means = views.mean(dim=1).numpy()
    between = np.cov(means.T)
    within = np.mean([np.cov(image.numpy().T) for image in views], axis=0) + 1e-4 * np.eye(width)
    root = np.linalg.inv(np.real(sqrtm(within)))
    shares = np.sort(np.linalg.eigvalsh(root @ between @ root))[::-1].clip(0)
    shares = (shares / shares.sum())[: min(images, width)] + 1e-7
    assert lidar(views) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_lidar_leaves_out_directions_in_which_views_differ_as_much_as_images():
    content = torch.cat([gaussian(200, 1, 4).expand(-1, 10, -1), torch.zeros(200, 10, 4)], dim=2)
    nuisance = torch.cat([torch.zeros(200, 10, 4), 3 * gaussian(200, 10, 4, seed=1)], dim=2)
    assert lidar(content + nuisance + 0.1 * gaussian(200, 10, 8, seed=2)) == pytest.approx(4, abs=0.2)


def test_images_with_one_mean_have_no_lidar():
    with pytest.raises(ValueError, match="all images have one mean over their views"):
        lidar(torch.ones(5, 3, 4))
