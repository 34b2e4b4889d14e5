"""Pictures on disk: read as they were written, checked, and never half there."""

from __future__ import annotations

import pytest

from sslbench.store import pictures as store
from sslbench.store.artifacts import pretraining_files
from sslbench.store.digests import DamagedFile
from sslbench.store.pictures import (
    OF_PRETRAINING,
    PicturePoint,
    StoredPicture,
    pictures_of,
    read_pictures,
    write_pictures,
)

POINTS = (PicturePoint(0.25, -1.5, "cat", b"png of a cat"), PicturePoint(1.0, 2.0, "猫", b"png of another"))
PICTURES = [
    StoredPicture("neighbours", "What is near.", b"png of neighbours" * 50),
    StoredPicture("map", "Wo Ähnliches liegt.", b"png of a map" * 50, POINTS),
]
VIEWS = StoredPicture("views", "Two views of each image.", b"png of views")


@pytest.fixture
def files(tmp_path):
    files = pretraining_files(tmp_path, "p0")
    write_pictures(files, "c0", PICTURES)
    write_pictures(files, OF_PRETRAINING, [VIEWS])
    return files


def test_a_record_has_the_pictures_of_its_cell_and_then_those_of_its_pretraining(tmp_path, files, record):
    assert pictures_of(tmp_path, record("c0")) == [*PICTURES, VIEWS]
    assert pictures_of(tmp_path, record("c1")) == [VIEWS]
    assert pictures_of(tmp_path, record("c0", pretraining={"key": "p1"})) == []
    assert pictures_of(tmp_path, record("c0", pretraining=None)) == []


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path, files, record):
    write_pictures(files, "c0", PICTURES[1:])
    assert pictures_of(tmp_path, record("c0")) == [PICTURES[1], VIEWS]
    assert sorted(path.name for path in files.pictures("c0").iterdir()) == ["map.png", "pictures.json"]
    write_pictures(files, "c0", [])
    assert pictures_of(tmp_path, record("c0")) == [VIEWS]
    assert not files.pictures("c0").exists()


def test_they_go_with_the_pretraining(tmp_path, files, record):
    files.remove()
    assert pictures_of(tmp_path, record("c0")) == []


def test_a_writer_that_is_stopped_leaves_none(files, monkeypatch):
    def stopped(path, *parts):
        raise OSError(28, "No space left on device")

    for name in ("write_json", "write_atomically"):
        with monkeypatch.context() as patch:
            patch.setattr(store, name, stopped)
            with pytest.raises(OSError, match="No space"):
                write_pictures(files, "c0", PICTURES)
        assert read_pictures(files.pictures("c0")) == []


@pytest.mark.parametrize("name", ["pictures.json", "neighbours.png"])
def test_damage_is_named_and_never_shown(files, flipped, name):
    path = files.pictures("c0") / name
    content = path.read_bytes()
    for damage in [*flipped(path), content[: len(content) // 2], b""]:
        path.write_bytes(damage)
        with pytest.raises(DamagedFile, match=rf"^{path}: damaged"):
            read_pictures(files.pictures("c0"))


def test_a_picture_that_is_gone_is_named(files):
    (files.pictures("c0") / "map.png").unlink()
    with pytest.raises(DamagedFile, match=r"map\.png: cannot be read: No such file"):
        read_pictures(files.pictures("c0"))


def test_what_is_no_list_of_pictures_is_named(files):
    path = files.pictures("c0") / "pictures.json"
    for odd in ({}, {"pictures": [{"name": "map"}]}, {"pictures": 3}):
        store.write_json(path, odd)
        with pytest.raises(DamagedFile, match=r"pictures\.json: damaged: "):
            read_pictures(files.pictures("c0"))
