from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.random import RandomState
from PIL import Image
from pyarrow import parquet

from sslbench import UserError, build_plugin
from sslbench_plugins.blocks.studies.user_data import read_columns, read_image, registered_view, views_by_reference


def test_csv_and_parquet_are_the_same(tmp_path):
    (tmp_path / "t.csv").write_text("a, b\n1,x\n2,y\n")
    parquet.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "t.parquet")
    expected = {"a": [1, 2], "b": ["x", "y"]}
    assert read_columns(str(tmp_path / "t.csv"), "rows", ("a",)) == expected
    assert read_columns(str(tmp_path / "t.parquet"), "rows", ("a",)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column 'c'; its columns are a, b"),
        ("a,a,c\n1,2,3\n", "a column is named twice"),
        ("a,b,c\n", "the table has no rows"),
        ("", "cannot be read as a CSV or parquet file"),
        ("a,b,c\n1,2\n", "cannot be read as a CSV or parquet file"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_columns(str(path), "rows", ("c",))
    assert caught.value.messages[0].startswith(f"rows = {str(path)!r}: ")
    assert words in caught.value.messages[0]
    assert "\n" not in caught.value.messages[0]


def test_no_file():
    with pytest.raises(UserError, match="rows = 'nowhere.csv': no such file; expected a CSV or parquet file"):
        read_columns("nowhere.csv", "rows")


def test_an_image_is_cropped_and_resized(tmp_path):
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, 10:30] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    image = read_image(str(tmp_path / "x.png"), 20, "image")
    assert image.shape == (3, 20, 20)
    assert image.dtype == np.float64
    assert (image == np.array([10, 20, 30.0])[:, None, None]).all()


def test_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "x.png")
    assert read_image("~/x.png", 9, "image").shape == (3, 9, 9)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "x.png").write_text("words")
    for name, words in (("x.png", "not an image that Pillow can read"), ("none.png", "No such file or directory")):
        with pytest.raises(UserError) as caught:
            read_image(str(tmp_path / name), 16, "image")
        assert caught.value.messages[0] == f"image = {str(tmp_path / name)!r}: {words}; expected an image file"


def test_a_registered_augmentation_is_applied_as_training_does():
    images = RandomState(0).uniform(0, 255, (3, 3, 16, 16))
    views = registered_view("simclr", "augmentations")(images, RandomState(5))
    generator = torch.Generator().manual_seed(int(RandomState(5).randint(2**31 - 1)))
    view = build_plugin("augmentation", "simclr").view(0, "global", 16)
    plain = view(torch.from_numpy(images.round().astype(np.uint8)), generator)
    assert np.abs(views - 255 * plain.double().numpy()).max() < 1e-9


def test_nothing_done_is_nothing_changed():
    images = RandomState(0).randint(0, 256, (2, 3, 16, 16)).astype(float)
    assert np.abs(registered_view("none", "x")(images, RandomState(0)) - images).max() < 1e-4


def test_own_names_come_first_and_the_prefix_means_the_registered_one():
    def own(images, rng):
        return images

    views = views_by_reference(("none", "augmentation.none"), {"none": own}, lambda view: view, "augmentations")
    assert list(views) == ["none", "augmentation.none"]
    assert views["none"] is own
    assert views["augmentation.none"] is not own


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("nome",),
            "augmentations: unknown augmentation 'nome'; did you mean 'none'? (see: sslbench list",
        ),
        (("flip", "flip"), "augmentations: 'flip' is named twice"),
        (("simclr:flip=2",), "augmentations: augmentation 'simclr': flip = 2: input should be less than or equal to 1"),
    ],
)
def test_mistakes(names, words):
    with pytest.raises(UserError) as caught:
        views_by_reference(names, {"flip": None}, lambda view: view, "augmentations")
    assert caught.value.messages[0].startswith(words)
