from __future__ import annotations

from pathlib import Path

import pytest
import torch
from filelock import FileLock

from sslbench_plugins.blocks.images_on_disk.cache_files import CLOSING, cache_folder, read_facts, write
from sslbench_plugins.blocks.images_on_disk.reading import Mapped


@pytest.fixture
def kept(tmp_path):
    """Two images of one pixel, and something that is known of them."""
    path = tmp_path / "x.images"
    write(path, "key", [b"abc", b"def"], lambda: {"bad": {"1": "why"}})
    return path


def test_what_was_written_is_read(kept):
    assert read_facts(kept, "key") == {"bad": {"1": "why"}, "key": "key", "bytes": 6}
    images = Mapped(kept, (2, 3, 1, 1))
    assert len(images) == 2
    assert images[torch.tensor([1, 0, 1])].flatten(1).tolist() == [[100, 101, 102], [97, 98, 99], [100, 101, 102]]
    assert [item.name for item in kept.parent.iterdir()] == ["x.images"]


def test_what_is_read_is_a_copy(kept):
    images = Mapped(kept, (2, 3, 1, 1))
    images[torch.tensor([0])].zero_()
    assert images[torch.tensor([0])].flatten().tolist() == [97, 98, 99]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: whole[:10],
        lambda whole: whole[:-1],
        lambda whole: whole[1:],
        lambda whole: b"x" + whole,
        lambda whole: whole + b"x",
        lambda whole: whole[: -len(CLOSING)] + b"OTHER001",
        lambda whole: whole[: -len(CLOSING) - 24] + (10**9).to_bytes(8, "little") + bytes(16) + CLOSING,
        lambda whole: whole.replace(b'"bytes": 6', b'"bytes": 7'),
        lambda whole: whole.replace(b'{"bad"', b'}"bad"'),
        lambda whole: whole.replace(b'"key":', b'"kex":'),
        lambda whole: whole[:6] + b"[]" + (2).to_bytes(8, "little") + bytes(16) + CLOSING,
    ],
)
def test_a_file_that_is_not_whole_is_not_used(kept, spoil):
    kept.write_bytes(spoil(kept.read_bytes()))
    assert read_facts(kept, "key") is None


def test_a_file_with_a_flipped_bit_or_a_zeroed_half_is_not_used(tmp_path, flipped):
    path = tmp_path / "x.images"
    facts = write(path, "key", [bytes(range(256))] * 3, dict)
    content = path.read_bytes()
    half = len(content) // 2
    for damage in [*flipped(path), bytes(half) + content[half:], content[:half] + bytes(len(content) - half)]:
        path.write_bytes(damage)
        assert read_facts(path, "key") is None
    path.write_bytes(content)
    assert read_facts(path, "key") == facts


def test_a_file_that_could_not_be_used_is_named_when_it_is_made_again(kept, capsys):
    assert capsys.readouterr().err == ""
    write(kept, "key", [b"abc"], dict)
    line = f"sslbench: {kept}: damaged or of another version; its images are decoded again\n"
    assert capsys.readouterr().err == line


def test_nor_one_of_other_images_nor_one_that_is_not_there(kept):
    assert read_facts(kept, "another") is None
    assert read_facts(kept.with_name("none"), "key") is None


def test_what_fails_on_the_way_leaves_nothing_and_what_was_there(kept):
    def parts():
        yield b"abc"
        raise RuntimeError("power failure")

    for path in (kept, kept.with_name("new.images")):
        with pytest.raises(RuntimeError, match="power failure"):
            write(path, "key", parts(), dict)
    assert [item.name for item in kept.parent.iterdir()] == ["x.images"]
    assert read_facts(kept, "key") is not None


def test_what_a_killed_writer_left_is_overwritten(kept):
    kept.with_name("x.images.partial").write_bytes(b"left")
    write(kept, "key", [b"abc"], dict)
    assert [item.name for item in kept.parent.iterdir()] == ["x.images"]
    assert read_facts(kept, "key") == {"key": "key", "bytes": 3}


def test_what_killed_writers_of_other_images_left_is_removed_but_not_what_is_being_written(kept):
    left, busy = (kept.with_name(f"{name}.images.partial") for name in ("left", "busy"))
    for path in (left, busy):
        path.write_bytes(b"half")
    with FileLock(busy.with_suffix(".lock")):
        write(kept.with_name("y.images"), "key", [b"abc"], dict)
    assert (left.exists(), busy.exists()) == (False, True)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", "/a")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("SSLBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/b/sslbench/decoded")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/sslbench/decoded"
