"""Pictures that evaluators yield: what is refused, what is kept, and that no metric is lost for one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import EvaluatorSpec, Metric, Picture, PicturePoints
from sslbench.contracts.executor import CurveRequest, PluginChoice
from sslbench.contracts.picture_checks import MOST_PICTURES, picture_mistakes
from sslbench.errors import PluginError
from sslbench.evaluate import run as evaluate
from sslbench.evaluate.run import save_pictures
from sslbench.hooks.registry import default_registry
from sslbench.store.artifacts import pretraining_files
from sslbench.store.pictures import pictures_of, read_pictures
from sslbench.testing.conformance import problems

IMAGE = torch.arange(3 * 4 * 5, dtype=torch.uint8).view(3, 4, 5)
GOOD = Picture("two-words", IMAGE, "Nothing in particular.")
POINTS = PicturePoints(
    torch.tensor([[0.5, -1.0], [2.0, 3.0]]), ["cat", "dog"], torch.full((2, 3, 8, 8), 7, dtype=torch.uint8)
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Two words"}, "picture 'Two words': its name; allowed: lower-case letters, digits and hyphens"),
        ({"name": "../up"}, "picture '../up': its name; allowed"),
        ({"name": "-"}, "picture '-': its name; allowed"),
        ({"name": "a" * 61}, "hyphens between them, at most 60 characters"),
        ({"name": 3}, "picture 3: its name; allowed"),
        ({"image": IMAGE.float()}, "image: float32 [3, 4, 5]; allowed: uint8 [3, H, W]"),
        ({"image": IMAGE[0]}, "image: uint8 [4, 5]; allowed"),
        ({"image": IMAGE.permute(1, 2, 0)}, "image: uint8 [4, 5, 3]; allowed"),
        ({"image": IMAGE.numpy()}, "image: a ndarray; allowed"),
        ({"image": IMAGE[:, :0]}, "image: 0 x 5 pixels; allowed: 1 to 2048 a side"),
        ({"image": torch.zeros(3, 1, 2049, dtype=torch.uint8)}, "image: 1 x 2049 pixels; allowed"),
        ({"caption": ""}, "caption = ''; allowed: a sentence on one line"),
        ({"caption": "Two\nlines."}, r"caption = 'Two\nlines.'; allowed"),
        ({"caption": None}, "caption = None; allowed"),
        ({"caption": "a" * 1001}, "caption: 1,001 characters; allowed: at most 1,000"),
        ({"points": "xy"}, "points = 'xy'; allowed: PicturePoints(xy, labels, thumbnails), or None"),
        ({"points": replace(POINTS, xy=POINTS.xy.double())}, "points.xy: float64 [2, 2]; allowed: float32 [N, 2]"),
        ({"points": replace(POINTS, xy=torch.zeros(2001, 2))}, "points.xy: float32 [2001, 2]; allowed"),
        ({"points": replace(POINTS, xy=POINTS.xy / 0)}, "points.xy: a coordinate is NaN or infinite"),
        ({"points": replace(POINTS, xy=POINTS.xy * torch.nan)}, "points.xy: a coordinate is NaN or infinite"),
        ({"points": replace(POINTS, labels=["cat"])}, "points.labels: 1; allowed: one for each of 2 points"),
        ({"points": replace(POINTS, labels=[1, 2])}, "points.labels = [1, 2]; allowed: a text for each point"),
        (
            {"points": replace(POINTS, thumbnails=torch.zeros(2, 3, 33, 33, dtype=torch.uint8))},
            "points.thumbnails: uint8 [2, 3, 33, 33]; allowed: uint8 [2, 3, t, t], t from 1 to 32",
        ),
    ],
)
def test_what_cannot_be_kept_is_a_mistake_in_one_line(changes, words):
    (line,) = picture_mistakes([replace(GOOD, **changes)])
    assert words in line


def test_good_pictures_have_no_mistake_but_each_needs_a_name_of_its_own_and_there_are_not_too_many():
    assert picture_mistakes([GOOD, replace(GOOD, name="map", points=POINTS)]) == []
    assert picture_mistakes([GOOD, GOOD]) == [
        "picture 'two-words' is given 2 times; each picture has a name of its own"
    ]
    many = [replace(GOOD, name=f"p{number}") for number in range(MOST_PICTURES + 1)]
    assert picture_mistakes(many) == ["51 pictures; allowed: at most 50"]


def test_pictures_of_a_pretraining_are_kept_and_bad_ones_refused(tmp_path):
    files = pretraining_files(tmp_path, "p0")
    save_pictures(files, None, [replace(GOOD, name="views"), replace(GOOD, name="masks", points=POINTS)])
    views, masks = read_pictures(files.pictures("pretraining"))
    assert (views.name, views.caption, views.points) == ("views", GOOD.caption, ())
    assert np.array_equal(pixels(views.png), IMAGE.permute(1, 2, 0))
    assert [(point.x, point.y, point.label) for point in masks.points] == [(0.5, -1.0, "cat"), (2.0, 3.0, "dog")]
    assert pixels(masks.points[0].png).shape == (8, 8, 3)
    with pytest.raises(PluginError, match="picture 'views': caption = ''"):
        save_pictures(files, None, [replace(GOOD, name="views", caption="")])


def pixels(png):
    return np.array(Image.open(BytesIO(png)))


class Drawer:
    """Yields what it is given, and looks at images where it is told to."""

    def __init__(self, *items, shows=False):
        self.items, self.shows, self.shown = items, shows, []

    def evaluate(self, data):
        yield Metric("m", 0.5)
        self.shown.append(data.shown is not None)
        yield from self.items
        if self.shows == "wrong":
            data.shown.wrong()
        elif self.shows:
            images = data.shown.pixels("test", torch.tensor([1, 0]))
            yield Picture("first", images[0], f"An image of {len(data.shown.class_names)} classes.")


@pytest.fixture
def run(tmp_path, small_work, do_work):
    """Records of an evaluator called ``drawer``, and of k-NN after it, with the events."""

    def run(evaluator, **changes):
        spec = EvaluatorSpec(name="drawer", summary="s", build=lambda params, context: evaluator, headline="m")

        class Names:
            def get(self, kind, name):
                return spec if name == "drawer" else default_registry().get(kind, name)

        plugins = {"method": PluginChoice("raw-pixels"), "backbone": None, "augmentation": None}
        plugins |= changes.pop("plugins", {})
        work = small_work(tmp_path, plugins=plugins, evaluators=("drawer", "knn"), **changes)
        return do_work(work, Names())

    return run


def test_what_an_evaluator_yields_is_kept_with_its_cell_and_replaced_by_the_next_run(tmp_path, run):
    emitted = run(Drawer(GOOD, replace(GOOD, name="map", points=POINTS)))
    drawer, _ = emitted.records
    assert (drawer.status, list(drawer.metrics)) == ("done", ["m"])
    assert [picture.name for picture in pictures_of(tmp_path, drawer)] == ["two-words", "map"]
    run(Drawer(replace(GOOD, caption="Another.")))
    (picture,) = pictures_of(tmp_path, drawer)
    assert (picture.name, picture.caption) == ("two-words", "Another.")
    run(Drawer())
    assert pictures_of(tmp_path, drawer) == []


def test_images_are_those_of_the_data_set_also_where_only_features_were_read(tmp_path, run):
    for _ in range(2):
        emitted = run(Drawer(shows=True))
        (picture,) = pictures_of(tmp_path, emitted.records[0])
        assert picture.caption == "An image of 10 classes."
        assert pixels(picture.png).shape == (8, 8, 3)
    assert emitted.stages == ["evaluating drawer", "reading images", "evaluating knn"]


def test_a_picture_that_cannot_be_kept_is_left_out_in_one_line_and_costs_no_metric(tmp_path, run):
    words = "^evaluator 'drawer': picture '(two-words' is given 2 times; .*|other': caption = ''; .*); it is left out$"
    with pytest.warns(UserWarning, match=words) as caught:
        drawer, knn = run(Drawer(GOOD, GOOD, replace(GOOD, name="other", caption=""))).records
    assert len(caught) == 2
    assert (drawer.status, knn.status, drawer.metrics["m"].value) == ("done", "done", 0.5)
    assert [picture.name for picture in pictures_of(tmp_path, drawer)] == ["two-words"]


def test_what_is_raised_after_a_picture_costs_no_metric_and_before_one_it_may(tmp_path, run):
    with pytest.warns(UserWarning, match="^evaluator 'drawer' draws no more pictures: AttributeError: .* 'wrong'$"):
        drawer, _ = run(Drawer(GOOD, shows="wrong")).records
    assert (drawer.status, drawer.metrics["m"].value) == ("done", 0.5)
    assert [picture.name for picture in pictures_of(tmp_path, drawer)] == ["two-words"]
    (failed, _) = run(Drawer(shows="wrong")).records
    assert (failed.status, failed.metrics["m"].value) == ("failed", None)


def test_a_picture_that_cannot_be_written_costs_no_metric(tmp_path, run):
    folder = tmp_path / "artifacts/k0"
    folder.mkdir(parents=True)
    (folder / "pictures").write_text("a file in the way")
    emitted = run(Drawer(GOOD))
    assert [record.status for record in emitted.records] == ["done", "done"]
    assert emitted.records[0].metrics["m"].value == 0.5
    assert [line for line in emitted.warnings if line.startswith("pictures not kept: ")]


def test_images_that_cannot_be_read_cost_no_metric(tmp_path, run, monkeypatch):
    def gone(self, split, indices):
        raise evaluate.ImagesUnreadable("FileNotFoundError: cat.png")

    monkeypatch.setattr("sslbench.evaluate.shown_images.SplitImages.pixels", gone)
    words = r"^evaluator '(drawer|knn)' draws no more pictures: FileNotFoundError: cat.png$"
    with pytest.warns(UserWarning, match=words):
        drawer, knn = run(Drawer(GOOD, shows=True)).records
    assert (knn.status, pictures_of(tmp_path, knn)) == ("done", [])
    assert (drawer.status, drawer.metrics["m"].value) == ("done", 0.5)
    assert [picture.name for picture in pictures_of(tmp_path, drawer)] == ["two-words"]


def test_a_curve_ignores_pictures_and_shows_no_images(tmp_path, run):
    evaluator = Drawer(GOOD)
    curve = CurveRequest(1, (PluginChoice("drawer"),), {})
    plugins = {"method": PluginChoice("simclr"), "backbone": PluginChoice("convnet-small")}
    plugins["augmentation"] = PluginChoice("affine")
    drawer, _ = run(evaluator, plugins=plugins, curve=curve, training={"epochs": 2, "train_images": 64}).records
    assert [point.metrics["m"].value for point in drawer.pretraining.curve] == [0.5, 0.5]
    assert evaluator.shown == [False, False, True]
    assert [picture.name for picture in pictures_of(tmp_path, drawer)] == ["two-words", "views"]


class Careful(Drawer):
    def evaluate(self, data):
        finite = bool(torch.isfinite(data.test.features).all())
        yield Metric("m", 0.5 if finite else None, reason="" if finite else "not finite")
        yield from (item() for item in self.items)


def found(*items):
    spec = EvaluatorSpec(name="d", summary="A d.", build=lambda params, context: Careful(*items), headline="m")
    return problems(spec)


def test_conformance_knows_pictures():
    assert found(lambda: GOOD) == []
    assert found(lambda: replace(GOOD, caption="")) == [
        "evaluator 'd': picture 'two-words': caption = ''; allowed: a sentence on one line"
    ]
    count = itertools.count()
    assert found(lambda: replace(GOOD, image=IMAGE + next(count))) == [
        "evaluator 'd': picture 'two-words' differs for the same features and seed"
    ]
