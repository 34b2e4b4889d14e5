"""Against the plain definition, with planted duplicates and a planted outlier."""

from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from sslbench.measure import similarity
from sslbench.measure.similarity import near_pairs, neighbours, outliers, whitened


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(60, 8, generator=generator) + 5


def test_neighbours_are_those_of_scikit_learn_on_centred_features(features, monkeypatch):
    monkeypatch.setattr(similarity, "SIMILARITIES", 600)  # chunks of ten
    nearest = neighbours(features, 4)
    centred = (features - features.mean(dim=0)).numpy()
    distance, index = NearestNeighbors(n_neighbors=5, metric="cosine").fit(centred).kneighbors(centred)
    assert nearest.index.tolist() == index[:, 1:].tolist()
    assert torch.allclose(nearest.cosine, 1 - torch.from_numpy(distance[:, 1:]).float(), atol=1e-5)


def test_what_all_share_does_not_make_them_alike(features):
    assert torch.allclose(neighbours(features + 1000, 3).cosine, neighbours(features, 3).cosine, atol=1e-2)


def test_pairs_that_were_planted_are_found_once_the_most_similar_first(features):
    centre = features.mean(dim=0)
    features[7] = features[30]
    features[11] = centre + 1.01 * (features[40] - centre) + 0.01
    pairs = near_pairs(neighbours(features, 5), 0.99)
    assert [pair[:2] for pair in pairs] == [(7, 30), (11, 40)]
    assert pairs[0][2] == pytest.approx(1, abs=1e-6)


def test_an_image_like_no_other_comes_first():
    generator = torch.Generator().manual_seed(0)
    centre = torch.zeros(40, 16)
    centre[:, 0] = 1
    features = centre + 0.05 * torch.randn(40, 16, generator=generator)
    features[20:, 0] -= 2  # two groups, and one that belongs to neither
    features[13] = torch.eye(16)[5]
    found = outliers(neighbours(features, 5), 3)
    assert found[0].index == 13
    assert found[0].deviations > 5 > found[1].deviations
    cosine = neighbours(features, 5).cosine[13]
    assert found[0].distance == pytest.approx(1 - float(cosine.mean()))


def test_images_that_are_all_equal_have_no_outlier():
    found = outliers(neighbours(torch.ones(6, 4), 3), 2)
    assert [outlier.deviations for outlier in found] == [0, 0]
    assert [outlier.index for outlier in found] == [0, 1]


def test_whitening_is_that_of_scikit_learn_but_for_the_shrinkage():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 6, generator=generator) @ torch.randn(6, 6, generator=generator) + 3
    ours = torch.nn.functional.normalize(whitened(features, shrinkage=0), dim=1)
    theirs = torch.from_numpy(PCA(whiten=True).fit_transform(features.double().numpy())).float()
    theirs = torch.nn.functional.normalize(theirs, dim=1)
    assert torch.allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-4)


def test_images_of_one_class_are_no_copies_once_whitened():
    generator = torch.Generator().manual_seed(0)
    classes = 10 * torch.randn(2, 32, generator=generator)
    features = classes.repeat_interleave(50, dim=0) + torch.randn(100, 32, generator=generator)
    features[7] = features[30] + 0.05 * torch.randn(32, generator=generator)
    assert len(near_pairs(neighbours(features, 10), 0.85)) > 400
    assert [pair[:2] for pair in near_pairs(neighbours(whitened(features), 10), 0.85)] == [(7, 30)]


def test_more_directions_than_images_and_constant_features_have_no_infinities():
    few = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(whitened(few)).all())
    assert whitened(torch.ones(5, 4)).abs().max() == 0
