from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk import encoded as module, reading
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums

SIDE = 24
WAYS = ["resident", "mapped", "streaming"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def jpeg(number, size=(40, 30)):
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


SOURCES = [jpeg(number) for number in range(30)]


def images(sources=SOURCES, size=SIDE):
    return Encoded(sources, [f"row {index}" for index in range(len(sources))], size, "here")


def broken():
    """Ten images, of which the fifth and the last cannot be read."""
    return [b"junk" if index in (4, 9) else source for index, source in enumerate(SOURCES[:10])]


def read_as(way, sources=SOURCES, key="key", **given):
    return read(images(sources), ReadingParams(reading=way, **given), [key])


@pytest.mark.parametrize("large", [False, True], ids=["one thread", "several threads"])
@pytest.mark.parametrize("way", WAYS)
def test_images_order_and_statistics_are_the_same_wherever_they_lie(way, large, monkeypatch):
    expected = read_as("resident").images
    monkeypatch.setattr(module, "LARGE", 0 if large else 10**9)
    monkeypatch.setattr(module, "CHUNK", 7)
    for _ in range(2):
        done = read_as(way)
        assert len(done.images) == 30
        assert torch.equal(done.images[torch.arange(30)], expected)
        assert torch.equal(done.images[torch.tensor([29, 3, 3])], expected[[29, 3, 3]])
        assert torch.equal(done.sums, channel_sums(expected))
        assert done.kept == list(range(30))


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_read_is_named_or_left_out_at_the_start(way):
    for _ in range(2):
        with pytest.raises(UserError, match="here: 2 of 10 images cannot be read") as caught:
            read_as(way, broken())
        assert list(caught.value.messages[1:]) == [
            f"here: row {index}: not an image that Pillow can read" for index in (4, 9)
        ]
        done = read_as(way, broken(), on_error="skip")
        assert done.kept == [0, 1, 2, 3, 5, 6, 7, 8]
        assert torch.equal(done.images[torch.arange(8)], read_as("resident").images[done.kept])
        assert torch.equal(done.sums, channel_sums(done.images[torch.arange(8)]))


@pytest.mark.parametrize("way", WAYS)
def test_no_image_at_all(way):
    done = read_as(way, [b"junk"], on_error="skip")
    assert (done.kept, len(done.images)) == ([], 0)
    assert done.images[torch.arange(0)].shape == (0, 3, SIDE, SIDE)
    assert int(done.sums.abs().sum()) == 0


@pytest.mark.parametrize("way", ["mapped", "streaming"])
def test_what_was_decoded_once_is_not_decoded_again(way, cache, monkeypatch):
    read_as(way)
    assert len([item for item in cache.iterdir() if item.suffix != ".lock"]) == 1
    monkeypatch.setattr(Encoded, "chunks", lambda *given: pytest.fail("decoded again"))
    read_as(way)


@pytest.mark.parametrize("way", ["mapped", "streaming"])
@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.write_bytes(item.read_bytes()[:-5]),
        lambda item: item.write_bytes(item.read_bytes()[5:]),
        lambda item: item.write_bytes(b""),
        lambda item: item.unlink(),
    ],
)
def test_a_file_that_was_cut_off_is_made_again(way, change, cache):
    read_as(way)
    (item,) = (item for item in cache.iterdir() if item.suffix != ".lock")
    change(item)
    assert torch.equal(read_as(way).images[torch.arange(30)], read_as("resident").images)


def test_other_images_another_size_and_another_pillow_have_other_files(cache, monkeypatch):
    read_as("mapped")
    read_as("mapped", SOURCES[::-1], key="another")
    read(images(size=12), ReadingParams(reading="mapped"), ["key"])
    monkeypatch.setattr(reading.PIL, "__version__", "0")
    read_as("mapped")
    assert len(list(cache.glob("*.images"))) == 4


def test_only_one_of_several_makes_the_file(monkeypatch):
    decoding = []
    chunks = Encoded.chunks

    def slow(self, bad):
        decoding.append(1)
        time.sleep(0.1)
        return chunks(self, bad)

    monkeypatch.setattr(Encoded, "chunks", slow)
    done = []
    readers = [threading.Thread(target=lambda: done.append(read_as("mapped"))) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert (len(done), len(decoding)) == (3, 1)


def test_another_process_maps_the_same_file(tmp_path):
    expected = read_as("mapped").images[torch.tensor([5])]
    (tmp_path / "sources.json").write_text(json.dumps([source.hex() for source in SOURCES]))
    code = """
        import json, sys, torch
        from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
        from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
        Encoded.chunks = None
        sources = [bytes.fromhex(text) for text in json.load(open(sys.argv[1]))]
        done = read(Encoded(sources, [""] * 30, 24, "here"), ReadingParams(reading="mapped"), ["key"])
        print(done.images[torch.tensor([5])].numpy().tobytes().hex())
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    command = [sys.executable, "-c", code, str(tmp_path / "sources.json")]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert there.strip() == expected.numpy().tobytes().hex()


Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize(
    ("limit", "free", "way"), [(1, 0, "resident"), (0, 10**9, "mapped"), (0, 30 * 3 * SIDE**2, "streaming")]
)
def test_auto_is_resident_up_to_the_limit_then_mapped_where_there_is_room(limit, free, way, monkeypatch):
    folders = []
    monkeypatch.setattr(reading.shutil, "disk_usage", lambda folder: folders.append(folder) or Usage(free))
    assert reading.location_of(images(), ReadingParams(memory_limit=limit)) == way
    assert all(os.path.isdir(folder) for folder in folders)


@pytest.mark.parametrize("way", ["mapped", "streaming"])
def test_a_cache_that_cannot_be_written_is_named_with_the_ways_out(way, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "file" / "cache"))
    words = (
        rf"^here: reading={way} cannot write {tmp_path}/file/cache/\S+: Not a directory; \$SSLBENCH_CACHE names another"
    )
    with pytest.raises(UserError, match=words + " folder, reading=resident writes nothing$"):
        read_as(way)


def test_an_image_that_breaks_later_is_named(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(SOURCES[0])
    done = read_as("streaming", [path])
    path.write_bytes(b"junk")
    words = r"^here: row 0: not an image that Pillow can read \(it could be read at first\)$"
    with pytest.raises(UserError, match=words):
        done.images[torch.tensor([0])]


def test_images_as_they_are_must_be_square_and_of_one_size():
    square = [jpeg(number, (20, 20)) for number in range(3)]
    for way in WAYS:
        done = read(images(square, None), ReadingParams(reading=way), ["square"])
        assert done.images[torch.arange(3)].shape == (3, 3, 20, 20)
        for sources, given in (
            ([*square, SOURCES[0]], "20 x 20, 40 x 30"),
            (SOURCES[:2], "40 x 30"),
        ):
            with pytest.raises(UserError, match=rf"here: images are {given} pixels; size=N makes them N x N"):
                read(images(sources, None), ReadingParams(reading=way), [given])
