"""Grey of 16 bits and floats: one scale for all images of a data set, wherever they lie."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.grey import white_for

WAYS = ["resident", "mapped", "streaming"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def noise(dtype, highest, peak, seed):
    """8 x 8 values up to ``highest``, and one pixel of ``peak``."""
    values = np.random.default_rng(seed).uniform(0, highest, (8, 8)).astype(dtype)
    values[0, 0] = peak
    return values


@pytest.mark.parametrize(
    ("kind", "peak", "white"),
    [
        ("integer", 1, 255),
        ("integer", 255, 255),
        ("integer", 256, 511),
        ("integer", 4095, 4095),
        ("integer", 4096, 8191),
        ("float", 0.2, 1),
        ("float", 1.01, 1),
        ("float", 1.2, 3),
        ("float", 254.0, 255),
        ("float", 3000.0, 4095),
    ],
)
def test_white_is_the_smallest_depth_that_holds_the_largest_value(kind, peak, white):
    assert white_for(kind, peak) == white


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("dtype", "ending", "dark", "bright", "white"),
    [
        ("int32", "tif", 100, 255, 255),
        ("uint16", "png", 1000, 4000, 4095),  # a camera of 12 bits
        ("uint16", "tif", 1000, 65535, 65535),
        ("float32", "tif", 0.4, 1.01, 1),
        ("float32", "tif", 0.4, 200.0, 255),
    ],
)
def test_all_images_of_a_data_set_have_one_scale(built, tmp_path, way, dtype, ending, dark, bright, white):
    """The training images are dark, and one test image has the one bright pixel."""
    written = {}
    for split, name, peak in (("train", "a", dark), ("train", "b", dark), ("test", "a", dark), ("test", "b", bright)):
        for number in range(2):
            values = noise(dtype, dark, peak, seed=len(written))
            path = tmp_path / "root" / split / name / f"{number}.{ending}"
            save(path, values)
            written[str(path)] = values
    expected = {
        path: np.minimum(values.astype(np.float64) * (255 / white), 255).round() for path, values in written.items()
    }
    for _ in range(2):  # the second time from the cache
        data = built("imagefolder", root=tmp_path / "root", size=8, reading=way)
        for name in ("test", "train"):
            split = data.split(name)
            images = split.images[torch.arange(len(split))]
            for path, image in zip(split.paths, images, strict=True):
                assert np.array_equal(image[0].numpy(), expected[path]), (way, path)


def test_brightness_does_not_tell_the_class(built, tmp_path):
    """Both classes have the same distribution; one has a pixel beyond 1 in each image."""
    for name, peak in (("a", 0.9), ("b", 1.05)):
        for number in range(10):
            save(tmp_path / "root" / name / f"{number}.tif", noise("float32", 1, peak, number))
    data = built("imagefolder", root=tmp_path / "root", size=8)
    split = data.split("train")
    means = split.images[:, :, 1:].float().mean(dim=(1, 2, 3))
    first, second = (means[split.labels == label].mean() for label in (0, 1))
    assert abs(first - second) < 5
    assert 110 < first < 145


def test_a_brighter_test_image_makes_the_kept_training_images_anew(built, tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            save(tmp_path / "root" / split / name / "0.png", np.full((8, 8), 200, np.uint16))
    for expected, peak in ((200, 200), (50, 1020)):
        save(tmp_path / "root/test/b/0.png", np.full((8, 8), peak, np.uint16))
        data = built("imagefolder", root=tmp_path / "root", size=8, reading="mapped")
        assert data.split("train").images[torch.tensor([0])].unique().tolist() == [expected]


def test_eight_bits_beside_deep_grey_stay_as_they_are(built, tmp_path):
    save(tmp_path / "root/a/0.png", np.full((8, 8), 100, np.uint8))
    save(tmp_path / "root/a/1.png", np.full((8, 8), 4000, np.uint16))
    data = built("images", root=tmp_path / "root", size=8, test_share=0.0)
    assert [image.unique().tolist() for image in data.split("train").images] == [[100], [249]]


@pytest.mark.parametrize("values", [[0.5, float("nan")], [0.5, -0.25], [0.5, float("inf")]])
def test_an_image_whose_values_are_not_understood_changes_no_other(built, tmp_path, values):
    for number, value in enumerate(values):
        save(tmp_path / "root/a" / f"{number}.tif", np.full((8, 8), value, np.float32))
    with pytest.raises(UserError, match=r"1 of 2 images cannot be read") as caught:
        built("images", root=tmp_path / "root", size=8, test_share=0.0)
    assert "0..65535 are understood" in caught.value.messages[1]
    data = built("images", root=tmp_path / "root", size=8, test_share=0.0, on_error="skip")
    assert data.split("train").images.unique().tolist() == [128]


def test_parquet_too(built, tmp_path):
    cells = []
    for value in (100, 4095):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(file, "png")
        cells.append(file.getvalue())
    pq.write_table(pa.table({"image": cells[:1] * 2, "label": [0, 1]}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"image": cells[1:], "label": [0]}), tmp_path / "test.parquet")
    data = built("parquet", path=tmp_path)
    assert data.split("train").images.unique().tolist() == [6]
    assert data.split("test").images.unique().tolist() == [255]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "dtype", "ending", "kind", "white", "value"),
    [("white", np.uint16, "png", "integer", 4095, 1000), ("white_float", np.float32, "tif", "float", 1, 0.25)],
)
def test_a_given_white_is_the_scale_whatever_the_images_hold(
    built, tmp_path, way, name, dtype, ending, kind, white, value
):
    for number in range(2):
        save(tmp_path / f"root/a/{number}.{ending}", np.full((8, 8), value, dtype))
    own = built("images", root=tmp_path / "root", size=8, test_share=0.0, reading=way).split("train")
    assert own.white == {kind: 1023 if kind == "integer" else 1}
    given = {"root": tmp_path / "root", "size": 8, "test_share": 0.0, "reading": way, name: white}
    for _ in range(2):  # the second time from the cache
        split = built("images", **given).split("train")
        assert split.white == {kind: white}
        assert split.images[torch.arange(2)].unique().tolist() == [round(value * 255 / white)]


def test_an_image_beyond_the_given_white_is_not_read(built, tmp_path):
    for number, value in enumerate((255, 280, 300)):
        save(tmp_path / f"root/{number}.png", np.full((8, 8), value, np.uint16))
    with pytest.raises(UserError, match=r"1 of 3 images cannot be read") as caught:
        built("images", root=tmp_path / "root", size=8, white=255, test_share=0.0)
    assert "2.png: its grey values are 300..300, and white is 255" in caught.value.messages[1]
    data = built("images", root=tmp_path / "root", size=8, white=255, on_error="skip", test_share=0.0)
    assert data.split("train").left_out == {"cannot be read": 1}
    assert data.split("train").images.unique().tolist() == [255]


def test_images_of_8_bits_have_no_scale(built, tmp_path):
    for number in range(3):
        save(tmp_path / f"root/a/{number}.png", np.full((8, 8), 200, np.uint8))
    assert built("images", root=tmp_path / "root", size=8).split("train").white == {}
