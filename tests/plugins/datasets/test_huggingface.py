from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "hf-disk")
NAMES = ["cat", "dog", "owl"]


def build(path, **given):
    return SPEC.build(SPEC.params(path=str(path), **given), BuildContext())


def encoded(value, size=(8, 8), mode="L"):
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, "png")
    return file.getvalue()


def features(image="image", label="label", names=NAMES):
    return {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}


def table(values, labels, image="image", label="label", names=NAMES, **columns):
    cells = [v if isinstance(v, (dict, type(None))) else {"bytes": encoded(v), "path": None} for v in values]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table({image: pa.array(cells, kind), label: pa.array(labels, pa.int64()), **columns})
    info = {"info": {"features": features(image, label, names)}}
    return made.replace_schema_metadata({"huggingface": json.dumps(info)})


def stream(path, rows, batch=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=batch)
    return path


def save(folder, *shards, split=None, described=None):
    """As ``Dataset.save_to_disk`` does: a stream of arrow for each shard, and two files that describe them."""
    names = [f"data-{number:05}-of-{len(shards):05}.arrow" for number in range(len(shards))]
    for name, rows in zip(names, shards, strict=True):
        stream(folder / name, rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names], "_split": split}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": described or features()}))
    return folder


def save_dict(folder, **splits):
    """As ``DatasetDict.save_to_disk`` does."""
    for name, shards in splits.items():
        save(folder / name, *shards, split=name)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return folder


@pytest.fixture
def folder(tmp_path):
    train = [table([10, 20, 30], [0, 1, 2]), table([40], [1])]
    return save_dict(tmp_path / "saved", train=train, test=[table([50, 60], [1, 0])])


def greys(split):
    return split.images[torch.arange(len(split))][:, 0, 0, 0].tolist()


@pytest.mark.parametrize("reading", ["resident", "mapped", "streaming"])
def test_splits_shards_labels_and_names(folder, reading, tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    data = build(folder, reading=reading)
    assert data.classes == NAMES
    assert greys(data.split("train")) == [10, 20, 30, 40]
    assert data.split("train").labels.tolist() == [0, 1, 2, 1]
    assert greys(data.split("test")) == [50, 60]
    assert not data.split("test").held_out
    assert data.split("train").left_out == {}
    assert (len(set(data.split("train").digests)), data.split("train").sides) == (4, (8, 8))


def test_it_conforms(folder):
    assert problems(SPEC, path=str(folder)) == []


def test_a_share_of_a_data_set_that_has_no_splits_is_held_out(tmp_path):
    data = build(save(tmp_path / "one", table(range(1, 21), [0, 1] * 10)))
    assert (len(data.split("train")), len(data.split("test"))) == (16, 4)
    assert data.split("test").held_out


def test_a_split_of_another_name_is_chosen_by_parameter_and_others_are_counted(tmp_path):
    one = [table([1, 2], [0, 1])]
    where = save_dict(tmp_path / "saved", gallery=one, query=[table([3, 4], [0, 1])], extra=one)
    with pytest.raises(UserError, match=r"has the splits gallery, query, extra; train=NAME and test=NAME say which"):
        build(where)
    with pytest.raises(UserError, match=r"has no split 'galery'; train=NAME names one of gallery, query, extra"):
        build(where, train="galery", test="query")
    with pytest.raises(UserError, match=r"train and test both name the split 'query'"):
        build(where, train="query", test="query")
    data = build(where, train="gallery", test="query")
    assert (greys(data.split("train")), greys(data.split("test"))) == ([1, 2], [3, 4])
    assert data.split("train").left_out == {"split extra, not used": 2}


def test_a_test_split_without_labels_gives_way_to_the_validation_split(tmp_path):
    rows = {"train": table([1, 2], [0, 1]), "validation": table([3, 4], [1, 0]), "test": table([5, 6], [-1, -1])}
    where = save_dict(tmp_path / "saved", **{name: [part] for name, part in rows.items()})
    data = build(where)
    assert greys(data.split("test")) == [3, 4]
    assert data.split("train").left_out == {"split test, without labels": 2}
    with pytest.raises(UserError, match=r"no row of the split 'test' has a label"):
        build(where, test="test")


def test_columns_are_found_by_what_they_hold_and_named_where_there_are_several(tmp_path):
    sound = pa.array([{"bytes": b"RIFF", "path": None}] * 4)
    kinds = {**features("picture_of_it", "species"), "sound": {"_type": "Audio"}}
    rows = table([1, 2, 3, 4], [0, 1, 0, 1], "picture_of_it", "species", sound=sound)
    assert len(build(save(tmp_path / "a", rows, described=kinds)).split("train")) == 2
    left = table([1, 2, 3, 4], [0, 1, 0, 1], "left", "kind", right=rows.column("picture_of_it"), sort=[0, 0, 1, 1])
    kinds = {**features("left", "kind"), **features("right", "sort", ["x", "y"])}
    where = save(tmp_path / "b", left, described=kinds)
    with pytest.raises(UserError, match=r"has several columns of images: left, right; image=COLUMN names one"):
        build(where)
    with pytest.raises(UserError, match=r"has several columns of classes: kind, sort; label=COLUMN names one"):
        build(where, image="right")
    assert build(where, image="right", label="sort").classes == ["x", "y"]


def test_images_beside_the_rows_are_read_and_none_is_fetched(tmp_path):
    where = tmp_path / "one"
    where.mkdir()
    (where / "7.png").write_bytes(encoded(7))
    cells = [{"bytes": None, "path": "7.png"}, {"bytes": None, "path": "https://example.org/8.png"}, None, 9] * 2
    save(where, table(cells, [0, 0, 0, 0, 1, 1, 1, 1]))
    data = build(where, on_error="skip")
    assert sorted(greys(data.split("train")) + greys(data.split("test"))) == [7, 7, 9, 9]
    words = "it is not in the file but at https://example.org/8.png, and nothing is fetched"
    assert [f"data-00000-of-00001.arrow row {row}: {words}" for row in (1, 5)] == [
        line for line in sorted([*data.split("train").unreadable, *data.split("test").unreadable]) if "://" in line
    ]


def test_rows_of_a_slice_of_a_struct_are_its_own(tmp_path):
    rows = table([1, None, 3, 4, 5, 6], [0, -1, 1, 0, 1, 0]).slice(1, 4)
    data = build(save_dict(tmp_path / "saved", train=[rows], test=[rows.slice(1)]))
    assert greys(data.split("train")) == [3, 4, 5]
    assert greys(data.split("test")) == [3, 4, 5]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_arrow_and_arrow_with_a_footer_are_read_as_well(tmp_path, compression):
    rows = table(range(1, 9), [0, 1] * 4)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, rows.schema, options=options) as file,
    ):
        file.write_table(rows)
    data = build(tmp_path / "x.arrow")
    assert sorted(greys(data.split("train")) + greys(data.split("test"))) == [*range(1, 9)]


def test_the_cache_of_load_dataset_without_what_map_left_there(tmp_path):
    stream(tmp_path / "pets-train-00000-of-00002.arrow", table([1], [0]))
    stream(tmp_path / "pets-train-00001-of-00002.arrow", table([2], [1]))
    stream(tmp_path / "pets-test.arrow", table([3], [1]))
    stream(tmp_path / "cache-0123456789abcdef.arrow", table([4], [1]))
    data = build(tmp_path)
    assert (greys(data.split("train")), greys(data.split("test"))) == ([1, 2], [3])
    assert data.split("train").left_out == {"not read: .arrow": 1}


def cut(path, *, batches):
    """Keep so many whole batches, as a copy that was interrupted may."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_stream(source)
        for _ in range(batches):
            reader.read_next_batch()
        end = source.tell()
    path.write_bytes(path.read_bytes()[:end])


def replace_text(path, text):
    path.write_text(text)


MISTAKES = [
    (
        lambda root: (root / "train/data-00001-of-00002.arrow").unlink(),
        r"data-00001-of-00002.arrow is missing in .*1 of 2",
    ),
    (
        lambda root: cut(root / "train/data-00000-of-00002.arrow", batches=1),
        r"00000-of-00002.arrow cannot be read: it is cut",
    ),
    (lambda root: replace_text(root / "test/data-00000-of-00001.arrow", "junk" * 9), r"cannot be read: "),
    (lambda root: replace_text(root / "test/data-00000-of-00001.arrow", ""), r"cannot be read: it is empty"),
    (lambda root: replace_text(root / "train/state.json", "{"), r"state.json is damaged: it is no JSON"),
    (lambda root: replace_text(root / "train/state.json", "[]"), r"state.json is damaged: it holds no names"),
    (lambda root: replace_text(root / "train/state.json", "{}"), r"state.json names no arrow file"),
    (lambda root: replace_text(root / "dataset_dict.json", "{}"), r"dataset_dict.json names no split"),
    (lambda root: (root / "test/state.json").unlink(), r"test/state.json is missing, and dataset_dict.json names"),
    (
        lambda root: (root / "dataset_dict.json").unlink(),
        r"has no dataset_dict.json or state.json, and .*t.* has; give path=",
    ),
    (
        lambda root: replace_text(
            root / "train/state.json", json.dumps({"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]})
        ),
        r"was saved with a choice of rows by an old `datasets`; load it and save it anew",
    ),
]


@pytest.mark.parametrize(("damage", "words"), MISTAKES, ids=[words[:28] for _, words in MISTAKES])
def test_what_is_damaged_is_one_line(folder, damage, words):
    damage(folder)
    with pytest.raises(UserError, match=words) as caught:
        build(folder)
    assert all("\n" not in line for line in caught.value.messages)


def test_what_is_no_such_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"path=.*nowhere does not exist; expected what `save_to_disk` writes"):
        build(tmp_path / "nowhere")
    (tmp_path / "train.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"has no dataset_dict.json, .*; parquet:path=.* reads its parquet files"):
        build(tmp_path)


def test_a_column_that_says_another_split_is_refused(tmp_path):
    rows = table([1, 2], [0, 1], split=["train", "test"])
    with pytest.raises(UserError, match=r"says test and train, and rows are .*; write a DatasetDict with the splits"):
        build(save(tmp_path / "one", rows))


def test_the_fingerprint_changes_with_rows_names_and_state(folder):
    params = SPEC.params(path=str(folder))
    seen = [SPEC.fingerprint(params)]
    assert SPEC.fingerprint(params) == seen[0]
    stream(folder / "train/data-00001-of-00002.arrow", table([41], [1]))
    seen.append(SPEC.fingerprint(params))
    (folder / "train/dataset_info.json").write_text(json.dumps({"features": features(names=["a", "b", "c"])}))
    seen.append(SPEC.fingerprint(params))
    assert len(set(seen)) == 3


def test_images_that_change_between_shards_are_matched_by_the_name_of_the_class(tmp_path):
    where = save_dict(tmp_path / "saved", train=[table([1, 2], [0, 1])], test=[table([3, 4], [0, 1])])
    (where / "test/dataset_info.json").write_text(json.dumps({"features": features(names=["dog", "cat", "owl"])}))
    assert build(where).split("test").labels.tolist() == [1, 0]


def test_images_alone_are_read_without_labels(tmp_path):
    rows = table(range(1, 11), [None] * 10).drop_columns(["label"])
    where = save_dict(tmp_path / "saved", train=[rows])
    with pytest.raises(
        UserError, match=r"that looks like the label; label=COLUMN names it, label=none reads images al"
    ):
        build(where)
    data = build(where, label="none")
    assert (data.classes, data.split("train").labels) == ([], None)
    assert (len(data.split("train")), len(data.split("test"))) == (8, 2)
    assert SPEC.provided(SPEC.params(path=str(where), label="none")) == frozenset()
    assert problems(SPEC, path=str(where), label="none") == []
    both = save_dict(tmp_path / "both", train=[rows], test=[rows.slice(3)])
    assert greys(build(both, label="none").split("test")) == [4, 5, 6, 7, 8, 9, 10]
