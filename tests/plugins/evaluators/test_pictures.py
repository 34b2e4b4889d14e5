"""Pictures of the built-in evaluators: there where somebody looks, never instead of a metric, of any data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sslbench import BuildContext, Metric, Picture
from sslbench.contracts.evaluator import EvaluationData, FeatureSet
from sslbench.contracts.picture_checks import picture_mistakes
from sslbench.draw.point_map import MOST_COLOURS
from sslbench.hooks.registry import default_registry
from sslbench.testing.fakes import ShownNoise, blobs, evaluated_scenes
from sslbench_plugins.blocks.pictures.maps import class_maps
from sslbench_plugins.blocks.pictures.mistakes import mistakes
from sslbench_plugins.evaluators import attention_segmentation, feature_map

NAMES = {
    "knn": ["neighbours"],
    "retrieval": ["neighbours"],
    "linear-probe": ["confusion", "worst-mistakes"],
    "feature-map": ["feature-map"],
}
WITH_MODEL = {
    "reconstruction": ["reconstructions"],
    "attention-segmentation": ["attention"],
    "dense-segmentation": ["maps"],
    "dense-regression": ["maps"],
    "fine-tune": ["confusion"],
}
SHORT = {"fine-tune": {"epochs": 1, "least_steps": 1, "scratch": False}}


def yielded(name, data, **params):
    spec = default_registry().get("evaluator", name)
    items = list(spec.build(spec.params(**params), BuildContext()).evaluate(data))
    pictures = [item for item in items if isinstance(item, Picture)]
    assert picture_mistakes(pictures) == []
    assert items[len(items) - len(pictures) :] == pictures
    return items[: len(items) - len(pictures)], {picture.name: picture for picture in pictures}


def shown(data, classes=("apple", "pear", "plum")):
    return replace(data, shown=ShownNoise(classes))


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_features_are_there_where_somebody_looks_and_change_no_metric(name):
    data = blobs(per_class=20, noise=0.8)
    metrics, none = yielded(name, data)
    again, pictures = yielded(name, shown(data))
    assert (list(none), list(pictures)) == ([], NAMES[name])
    assert [(metric.name, metric.value) for metric in again] == [(metric.name, metric.value) for metric in metrics]


@pytest.mark.parametrize("name", WITH_MODEL)
def test_pictures_of_models_are_there_where_somebody_looks(name):
    scenes = evaluated_scenes()
    _, pictures = yielded(name, scenes, **SHORT.get(name, {}))
    assert list(pictures)[: len(WITH_MODEL[name])] == WITH_MODEL[name]
    assert yielded(name, replace(scenes, shown=None), **SHORT.get(name, {}))[1] == {}


def test_neighbours_of_three_test_images_are_right_or_wrong():
    data = blobs(classes=3, per_class=10, noise=0.01)
    few = replace(data, test=FeatureSet(data.test.features[[0, 10, 20]], data.test.labels[[0, 10, 20]]))
    _, pictures = yielded("knn", shown(few))
    assert pictures["neighbours"].caption == (
        "For 3 of 3 test images, evenly spaced over the classes and shown on the left, the 7 nearest training images by"
        " cosine: 21 of 21 show the same class (blue frame, tick), 0 another one (vermilion frame, cross)."
    )
    _, pictures = yielded("retrieval", shown(data), among="test")
    assert "the 7 nearest other test images by cosine: 42 of 42 show the same class" in pictures["neighbours"].caption


def test_the_worst_mistakes_are_named_and_without_any_there_is_no_picture_of_them():
    _, pictures = yielded("linear-probe", shown(blobs(per_class=20, noise=0.01)))
    assert list(pictures) == ["confusion"]
    assert pictures["confusion"].caption.endswith("a column for each predicted one. None is wrong.")
    data = blobs(classes=2, per_class=20, noise=0.01)
    labels = data.test.labels.clone()
    labels[:3] = 1
    wrong = replace(data, test=FeatureSet(data.test.features, labels))
    _, pictures = yielded("linear-probe", shown(wrong, ("Äpfel\n", "猫")))
    assert "3 wrong; the commonest mistake, 3 times, takes 猫 for Äpfel?." in pictures["confusion"].caption
    assert pictures["worst-mistakes"].caption.startswith("The 3 of 3 mistakes on 40 test images that the classifier is")
    assert "the first is 猫, taken for Äpfel? with " in pictures["worst-mistakes"].caption


def test_a_thousand_classes_and_features_of_one_class():
    classes, generator = 1000, torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat(2)
    features = torch.randn(len(labels), 8, generator=generator)
    data = EvaluationData(FeatureSet(features, labels), FeatureSet(features + 0.1, labels), classes, 0)
    names = [f"a very long name of the class number {number}, and more of it" for number in range(classes)]
    for name, params in (("knn", {}), ("retrieval", {}), ("feature-map", {"images": 40})):
        assert list(yielded(name, shown(data, names), **params)[1]) == NAMES[name]
    one = EvaluationData(*(FeatureSet(features[:40], torch.zeros(40, dtype=torch.int64)) for _ in range(2)), 1, 0)
    for name in ("knn", "linear-probe"):
        metrics, pictures = yielded(name, shown(one, ["only"]))
        assert (metrics[0].value, pictures) == (None, {})
    assert list(yielded("feature-map", shown(one, ["only"]))[1]) == ["feature-map"]


def test_retrieval_and_knn_yield_metrics_alone_where_nothing_can_be_compared():
    data = shown(blobs())
    data.test.features[0] = torch.nan
    for name in NAMES:
        metrics, pictures = yielded(name, data)
        assert pictures == {}
        assert metrics[0].value is None


def test_masks_that_a_masking_cannot_make_have_no_column():
    scenes = evaluated_scenes()
    _, pictures = yielded("reconstruction", scenes, ratios=[0.5, 0.999])
    assert "with 50% of its patches masked" in pictures["reconstructions"].caption
    _, pictures = yielded("reconstruction", scenes, ratios=[0.999])
    assert pictures == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_picture_cannot_write_stands_in_its_caption(name):
    data = blobs(per_class=20, noise=0.8)
    _, pictures = yielded(name, shown(data, ("яблоко", "pear", "слива")))
    for picture in pictures.values():
        assert picture.caption.endswith("Names that the picture cannot write: class 0 is яблоко, class 2 is слива.")


def test_classes_of_pixels_have_a_colour_each_and_their_names_in_the_caption():
    scenes = evaluated_scenes()
    _, pictures = yielded("dense-segmentation", scenes, target="objects")
    assert "in one colour for each of 2 classes (ground, object); pale grey" in pictures["maps"].caption
    named = replace(scenes, shown=ShownNoise(["猫"] * 9))
    _, pictures = yielded("dense-segmentation", named, target="label")
    caption = pictures["maps"].caption
    assert "classes (ground, class 0, class 1" in caption
    assert "Names that the picture cannot write: class 0 is 猫, class 1 is 猫" in caption
    true = torch.arange(300).view(1, 15, 20)
    picture = class_maps(scenes.model, torch.tensor([0]), true, true, [])
    assert (
        "300 classes (0 (ground), 1, 2, 3, 4, 5, 6, 7 and 292 more), the last 46 of them in one; pale"
        in picture.caption
    )
    assert picture_mistakes([picture]) == []


@pytest.mark.parametrize(
    ("heads", "best", "words"),
    [
        (12, 11, "head by head, brighter for more; head 12 overlaps"),
        (16, 3, "head by head, the first 12 of 16 heads, brighter for more; head 4 overlaps"),
        (16, 13, "head by head, the first 11 and the best of 16 heads, brighter for more; head 14 overlaps"),
    ],
)
def test_the_head_that_is_scored_is_among_those_that_are_shown(monkeypatch, heads, best, words):
    scenes, shown_heads = evaluated_scenes(), []
    monkeypatch.setattr(attention_segmentation, "attention_of", lambda model, split, rows: torch.ones(1, heads, 16))

    def drawn(rows, headings, side):
        shown_heads.extend(headings[2:])
        return torch.zeros(3, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(attention_segmentation, "tile_rows", drawn)
    picture = attention_segmentation.heads_beside_masks(scenes.model, torch.tensor([0]), best)
    assert words in picture.caption
    assert len(shown_heads) == 12
    assert shown_heads.count(f"head {best + 1} (best)") == 1


def test_captions_count_what_the_drawing_shows():
    assert feature_map.MOST_COLOURS == MOST_COLOURS
    classes = 30
    labels = torch.arange(classes).repeat(4)
    logits = torch.nn.functional.one_hot((labels + (labels < 25).long()) % classes, classes).double()
    data = replace(shown(blobs(per_class=2)), classes=classes)
    first, _ = mistakes(data, logits, labels)
    assert "of 30 classes" in first.caption
    assert "the 20 classes with the most mistakes by name, the others together. 100 wrong;" in first.caption
    (only,) = mistakes(data, torch.nn.functional.one_hot(labels, classes).double(), labels)
    assert only.caption.endswith("; the first 20 classes by name, the others together. None is wrong.")


def of_map(**changes):
    data = blobs(classes=3, per_class=20, noise=0.05)
    metrics, pictures = yielded("feature-map", shown(replace(data, **changes.pop("data", {}))), **changes)
    return {metric.name: metric.value for metric in metrics}, pictures


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_a_map_keeps_classes_apart_that_are_apart_and_says_how_far_to_trust_it(method):
    metrics, pictures = of_map(method=method)
    points = pictures["feature-map"].points
    assert 0.9 < metrics["map_trustworthiness"] <= 1
    assert 0.5 < metrics["map_variance"] <= 1
    assert [points.labels.count(name) for name in ("apple", "pear", "plum")] == [20, 20, 20]
    assert points.thumbnails.shape == (60, 3, 8, 8)
    centres = points.xy.view(3, 20, 2).mean(dim=1)
    spreads = (points.xy.view(3, 20, 2) - centres[:, None]).norm(dim=2).mean(dim=1)
    assert torch.pdist(centres).min() > 2 * spreads.max()


def test_the_principal_components_are_those_of_the_features():
    data = blobs(per_class=20)
    _, pictures = yielded("feature-map", shown(data), method="pca")
    centred = (data.test.features - data.test.features.mean(dim=0)).double()
    first = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    expected = (centred @ first.T).abs()
    assert torch.allclose(pictures["feature-map"].points.xy.double().abs(), expected, atol=1e-4)


def test_the_caption_of_a_map_speaks_of_colours_only_where_there_are_any():
    for classes, words in ((16, "of 16 classes, in frames of their class's colour, laid"), (17, "of 17 classes, laid")):
        data = blobs(classes=classes, per_class=2, dim=20)
        _, pictures = yielded("feature-map", shown(data, [f"kind {k}" for k in range(classes)]), method="pca")
        assert words in pictures["feature-map"].caption


def test_a_map_without_labels_numbers_its_images_and_takes_as_many_as_asked():
    data = blobs(per_class=20)
    bare = EvaluationData(FeatureSet(data.train.features), FeatureSet(data.test.features), 0, 0, shown=ShownNoise(()))
    metrics, pictures = yielded("feature-map", bare, images=20, perplexity=500)
    assert all(metric.value is not None and metric.higher_is_better is None for metric in metrics)
    assert pictures["feature-map"].points.labels[:2] == ["image 1", "image 4"]
    assert "Map of 20 of 60 test images, laid out by" in pictures["feature-map"].caption


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (torch.ones(30, 4), "all test feature vectors are equal: every image is as near as every other"),
        (torch.full((30, 4), torch.nan), "30 of 30 test feature vectors hold NaN or infinity"),
        (torch.randn(11, 4, generator=torch.Generator().manual_seed(0)), "there are 11 test images; a map needs 12"),
    ],
)
def test_what_cannot_be_laid_out_is_null_with_its_reason(features, words):
    metrics, pictures = of_map(data={"test": FeatureSet(features)})
    assert (metrics, pictures) == ({"map_trustworthiness": None, "map_variance": None}, {})
    spec = default_registry().get("evaluator", "feature-map")
    data = EvaluationData(FeatureSet(features), FeatureSet(features), 0, 0)
    (first, _) = spec.build(spec.params(), BuildContext()).evaluate(data)
    assert isinstance(first, Metric)
    assert first.reason == words


def test_features_of_one_number_have_a_map():
    features = torch.arange(20, dtype=torch.float32)[:, None]
    for method in ("tsne", "pca"):
        metrics, _ = of_map(data={"test": FeatureSet(features)}, method=method)
        assert metrics["map_variance"] == 1
