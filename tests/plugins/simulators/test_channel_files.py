from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from sslbench import UserError
from sslbench_plugins.simulators.scientific_image_analyzer.channels import read_channels


def saved(tmp_path, array, name="image.npy"):
    np.save(tmp_path / name, array)
    return str(tmp_path / name)


def test_integers_become_floats(tmp_path):
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    channels = read_channels(saved(tmp_path, array), "image")
    assert channels.dtype == np.float64
    assert (channels == array).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4)), "shape 4 x 4; expected [channels, rows, columns] with two channels or more"),
        (np.zeros((1, 4, 4)), "shape 1 x 4 x 4; expected [channels, rows, columns]"),
        (np.zeros((2, 0, 4)), "shape 2 x 0 x 4; expected"),
        (np.float64(3), "shape a single number; expected"),
        (np.zeros((2, 4, 4), dtype=complex), "values of type complex128; expected integers or floats"),
        (np.full((2, 2, 2), np.nan), "8 of 8 values are not finite"),
        (np.full((2, 2, 2), -1e200), "a value is 1e+200 in size; up to 1e+100 are allowed"),
        (np.array([["a"]], dtype=object), "not a NumPy array: "),
    ],
)
def test_what_is_no_image_of_channels_is_named(tmp_path, array, words):
    path = saved(tmp_path, array)
    with pytest.raises(UserError) as caught:
        read_channels(path, "image")
    assert caught.value.messages[0].startswith(f"image = {path!r}: ")
    assert words in caught.value.messages[0]


def test_other_files(tmp_path):
    (tmp_path / "x.jpg").write_text("")
    (tmp_path / "x.npy").write_text("no array")
    for name, words in (("no.npy", "no such file"), ("x.jpg", "cannot read .jpg"), ("x.npy", "not a NumPy array")):
        with pytest.raises(UserError, match=words):
            read_channels(str(tmp_path / name), "image")


def test_geotiff_without_rasterio_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x.tif").write_text("")
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(UserError, match=r"GeoTIFF needs rasterio, which is not installed: pip install 'sslbench\[geot"):
        read_channels(str(tmp_path / "x.tif"), "image")


@pytest.mark.filterwarnings("ignore")
def test_a_geotiff_is_read_channels_first(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    shape = {"count": 2, "height": 3, "width": 4, "dtype": "float32"}
    with rasterio.open(tmp_path / "x.tif", "w", driver="GTiff", **shape) as file:
        file.write(array)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read_channels(str(tmp_path / "x.tif"), "image") == array).all()
    with rasterio.open(tmp_path / "holes.tif", "w", driver="GTiff", nodata=5, **shape) as file:
        file.write(array)
    with pytest.raises(UserError, match="1 of 24 values are no data; fill or cut them off before analysing"):
        read_channels(str(tmp_path / "holes.tif"), "image")
    (tmp_path / "bad.tif").write_text("words")
    with pytest.raises(UserError, match="not a GeoTIFF: "):
        read_channels(str(tmp_path / "bad.tif"), "image")
