"""A check of many images, part by part."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk import checking
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checking, "PART", 4)
    return tmp_path / "cache"


def picture(value, mode="L", size=(8, 8)):
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, "png")
    return file.getvalue()


SOURCES = [b"junk" if number in (2, 9) else picture(number, size=(8 + number, 8)) for number in range(11)]


def images(sources=SOURCES, size=8):
    return Encoded(sources, [f"row {index}" for index in range(len(sources))], size, "here")


def read_as(way, sources=SOURCES, size=8):
    return read(images(sources, size), ReadingParams(reading=way, on_error="skip"), ["key"])


def test_parts_together_say_what_one_check_says(cache):
    whole, parts = read_as("resident"), read_as("streaming")
    assert (parts.kept, parts.digests, parts.sides, parts.bad) == (whole.kept, whole.digests, whole.sides, whole.bad)
    assert torch.equal(parts.sums, whole.sums)
    assert torch.equal(parts.images[torch.arange(9)], whole.images)
    assert read_as("streaming").kept == whole.kept
    assert {path.suffix for path in cache.iterdir()} == {".checked", ".lock"}


def test_a_check_that_is_interrupted_goes_on_at_its_part(monkeypatch):
    decoded, tried = checking.decoded, []

    def counted(path, digest, encoded, with_images):
        tried.append(encoded.names[0])
        if len(tried) == 3:
            raise KeyboardInterrupt
        return decoded(path, digest, encoded, with_images)

    monkeypatch.setattr(checking, "decoded", counted)
    with pytest.raises(KeyboardInterrupt):
        read_as("streaming")
    assert tried == ["row 0", "row 4", "row 8"]
    assert read_as("streaming").kept == [0, 1, 3, 4, 5, 6, 7, 8, 10]
    assert tried == ["row 0", "row 4", "row 8", "row 8"]


def test_deep_grey_keeps_its_scale_after_an_interruption(monkeypatch):
    sources = [picture(1000 if number else 4000, "I;16") for number in range(8)]
    decoded = checking.decoded

    def once(path, digest, encoded, with_images):
        monkeypatch.setattr(checking, "decoded", interrupted)
        return decoded(path, digest, encoded, with_images)

    def interrupted(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "decoded", once)
    with pytest.raises(KeyboardInterrupt):
        read_as("streaming", sources)
    monkeypatch.setattr(checking, "decoded", decoded)
    found = read_as("streaming", sources)
    assert found.white == {"integer": 4095.0}
    assert found.images[torch.tensor([0, 7])][:, 0, 0, 0].tolist() == [249, 62]


def test_parts_of_different_sizes_are_refused():
    sources = [picture(1, size=(8, 8) if number < 4 else (9, 9)) for number in range(8)]
    with pytest.raises(UserError, match=r"here: images are 8 x 8, 9 x 9 pixels; size=N makes them N x N"):
        read_as("streaming", sources, size=None)


def test_a_part_without_an_image_that_can_be_read_changes_nothing():
    sources = [b"junk"] * 4 + [picture(7)] * 4
    found = read_as("streaming", sources, size=None)
    assert (found.kept, found.sides, tuple(found.images[torch.tensor([0])].shape)) == (
        [4, 5, 6, 7],
        (8, 8),
        (1, 3, 8, 8),
    )
