"""Tars, folders of `datasets` and arrays, whatever is in them: read, or a mistake of one line."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from sslbench import UserError, build_plugin


def fuzz(examples):
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=unhealthy
    )


def read(name, **given):
    """Whether a data set is read: both splits, with all their images. Else each message is one line."""
    messages = mistakes_of(name, given)
    assert all(message and "\n" not in message for message in messages)
    return not messages


def mistakes_of(name, given):
    try:
        data = build_plugin("dataset", name, given=given)
        for split in map(data.split, ("train", "test")):
            split.images[torch.arange(len(split))]
            if split.labels is not None:
                assert len(split.labels) == len(split)
                assert all(0 <= label < len(data.classes) for label in split.labels.tolist())
    except UserError as error:
        return error.messages or ("",)
    return ()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))


def png():
    file = io.BytesIO()
    Image.new("L", (8, 8), 100).save(file, "png")
    return file.getvalue()


TEXT = st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace").decode())
NAME = st.sampled_from(["1.png", "1.cls", "2.png", "2.cls", "3.a.png", "3.json", "./4.jpg", "a/b.png", ".x", "._1.png"])
CONTENT = st.sampled_from(
    [png(), b"1", b"cat", b"", b"-1", b"junk", b'{"label": 2}', b'{"label": [1]}', b"[" * 3000, b"\xff\xfe", b"1e999"]
)
MEMBER = st.tuples(
    NAME | TEXT.filter(bool), CONTENT, st.sampled_from([tarfile.REGTYPE] * 6 + [tarfile.SYMTYPE, tarfile.DIRTYPE])
)
SHARD = st.sampled_from(["train-0", "train-1", "test-0", "x", "val", "tset"])


@fuzz(40)
@given(
    st.dictionaries(SHARD, st.lists(MEMBER, max_size=6), max_size=3),
    st.sampled_from(["", "cls", "json.label", "none", "png"]),
    st.sampled_from(["error", "skip"]),
    st.integers(0, 600),
)
def test_a_folder_of_tars(tmp_path, shards, label, on_error, cut):
    for old in tmp_path.glob("*.tar"):
        old.unlink()
    for name, members in shards.items():
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for member, content, kind in members:
                info = tarfile.TarInfo(member)
                info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(content))
    for path in [*tmp_path.glob("test*.tar")] if cut else []:
        path.write_bytes(path.read_bytes()[: 3 * cut])
    read("webdataset", path=str(tmp_path), size=8, label=label, on_error=on_error)


def test_a_good_folder_of_tars_is_read(tmp_path):
    for name in ("train-0", "test-0"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for number in range(4):
                for ending, content in (("png", png()), ("cls", b"1")):
                    info = tarfile.TarInfo(f"{number}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    assert read("webdataset", path=str(tmp_path), size=8)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["splits", "_data_files", "filename", "features", "names", "image", "label"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
STATE = JSON | st.just({"_data_files": [{"filename": "x.arrow"}]})
CELL = st.sampled_from(
    [None, {"bytes": png(), "path": None}, {"bytes": None, "path": "../x"}, {"bytes": b"", "path": "a\0b"}]
)


@fuzz(80)
@given(
    st.dictionaries(st.sampled_from(["dataset_dict.json", "state.json", "dataset_info.json"]), STATE, max_size=3),
    st.lists(st.tuples(CELL, st.sampled_from([None, 0, 1, -1, 7])), max_size=4),
    st.integers(0, 40),
)
def test_a_folder_of_datasets(tmp_path, documents, rows, cut):
    for old in [*tmp_path.glob("*.json"), *tmp_path.glob("*.arrow")]:
        old.unlink()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {"image": pa.array([cell for cell, _ in rows], kind), "label": pa.array([y for _, y in rows], pa.int64())}
    )
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    content = (tmp_path / "x.arrow").read_bytes()
    (tmp_path / "x.arrow").write_bytes(content[: len(content) - 8 * cut] if cut > 20 else content)
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
    read("hf-disk", path=str(tmp_path), size=8, on_error="skip")


SHAPE = st.lists(st.sampled_from([0, 1, 2, 3, 8]), max_size=5)
DTYPE = st.sampled_from(["u1", "u1", "u1", "i8", "f4", "?", "U2", "O", ">i4"])
ARRAY = st.builds(lambda shape, dtype: np.zeros(shape, dtype), SHAPE, DTYPE)
PARTS = [f"{part}_{what}" for part in ("train", "val", "test") for what in ("images", "labels")]
GOOD = {name: np.zeros((8, 8, 8) if name.endswith("images") else (8, 1), "u1") for name in PARTS}


@fuzz(120)
@given(
    st.dictionaries(st.sampled_from(PARTS), ARRAY | st.none(), max_size=3),
    st.sampled_from(["leave-out", "train", "test"]),
)
def test_an_npz_file(tmp_path, changed, validation):
    arrays = {name: array for name, array in {**GOOD, **changed}.items() if array is not None}
    np.savez(tmp_path / "x.npz", **arrays)
    read("medmnist", path=str(tmp_path / "x.npz"), validation=validation, reading="resident")


def test_a_good_npz_file_is_read(tmp_path):
    np.savez(tmp_path / "x.npz", **GOOD)
    assert read("medmnist", path=str(tmp_path / "x.npz"))
