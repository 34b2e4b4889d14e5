from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "parquet")


def build(path, **given):
    return SPEC.build(SPEC.params(path=str(path), **given), BuildContext())


def encoded(value, size=(8, 8)):
    file = io.BytesIO()
    Image.new("L", size, value).save(file, "png")
    return file.getvalue()


def write(path, values, labels, names=None, image="img", label="label", struct=True, size=(8, 8)):
    """As Hugging Face's ``datasets`` lays it out: a struct of bytes and path, class names in the schema."""
    cells = [{"bytes": encoded(v, size), "path": None} if struct else encoded(v, size) for v in values]
    table = pa.table({"id": list(range(len(values))), image: cells, label: labels})
    if names:
        info = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "plain_text" / "train-00000-of-00002.parquet", [10, 20], [0, 1], ["cat", "dog", "owl"])
    write(tmp_path / "plain_text" / "train-00001-of-00002.parquet", [30, 40], [2, 1], ["cat", "dog", "owl"])
    write(tmp_path / "plain_text" / "test-00000-of-00001.parquet", [50, 60], [1, 0], ["cat", "dog", "owl"])
    return tmp_path


def test_splits_images_labels_and_names_as_hugging_face_lays_them_out(folder):
    data = build(folder)
    assert data.classes == ["cat", "dog", "owl"]
    assert data.split("train").images[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
    assert data.split("train").labels.tolist() == [0, 1, 2, 1]
    assert data.split("test").images[:, 0, 0, 0].tolist() == [50, 60]
    assert data.image_size == 8
    assert problems(SPEC, path=str(folder)) == []


def test_plain_bytes_and_words_as_labels(tmp_path):
    path = write(
        tmp_path / "one.parquet", range(0, 100, 5), ["b", "a"] * 10, image="photo", label="fine_label", struct=False
    )
    data = build(path)
    assert data.classes == ["a", "b"]
    assert (len(data.split("train")), len(data.split("test"))) == (16, 4)
    assert data.split("test").labels.bincount().tolist() == [2, 2]


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path / "one.parquet", [1, 2, 3, 4], [5, 5, 9, 9], image="x", label="y")
    with pytest.raises(
        UserError, match=r"one.parquet has no column that looks like the label; label=COLUMN .*columns: id, x, y"
    ):
        build(path)
    assert build(path, label="y").classes == ["5", "9"]
    with pytest.raises(UserError, match=r"has no column 'z'; image=COLUMN names it \(columns: id, x, y\)"):
        build(path, image="z", label="y")
    with pytest.raises(UserError, match=r"column 'id' of one.parquet holds int64, not image bytes"):
        build(path, image="id", label="y")


def test_images_of_several_sizes_need_one(tmp_path):
    write(tmp_path / "train-0.parquet", [1], [0], size=(8, 6))
    write(tmp_path / "train-1.parquet", [1], [0], size=(9, 9))
    write(tmp_path / "test-0.parquet", [1], [0], size=(6, 6))
    with pytest.raises(UserError, match=r"images are 8 x 6, 9 x 9 pixels; size=N makes them N x N"):
        build(tmp_path)
    assert build(tmp_path, size=12).image_size == 12
    write(tmp_path / "train-0.parquet", [1], [0], size=(9, 9))
    words = r"test images measure 6 px, training images 9 px; size=N makes them N x N"
    with pytest.raises(UserError, match=words):
        build(tmp_path).split("test")
    assert build(tmp_path, size=12).split("test").images.shape[-1] == 12


def test_rows_that_cannot_be_read_are_named_or_left_out(tmp_path):
    cells = [{"bytes": encoded(1), "path": None}, {"bytes": b"junk", "path": None}, {"bytes": None, "path": "x"}] * 4
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 1] * 4}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"image": cells[:1], "label": [0]}), tmp_path / "test.parquet")
    with pytest.raises(UserError, match="8 of 12 images cannot be read; on_error=skip") as caught:
        build(tmp_path)
    assert any("row 1: not an image" in line for line in caught.value.messages)
    data = build(tmp_path, on_error="skip")
    assert sum(data.split(name).left_out.get("cannot be read", 0) for name in ("train", "test")) == 8


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "does not exist; expected a parquet file or a folder"),
        (lambda root: root.mkdir(), r"no \*.parquet file in"),
        (lambda root: write(root / "test-0.parquet", [1], [0]), "only test-0.parquet in .*named train-"),
        (lambda root: (root.mkdir(), (root / "train-0.parquet").write_bytes(b"no")), "train-0.parquet cannot be read"),
        (lambda root: write(root / "train-0.parquet", [1, 2], [-1, None]), "no training row has a label"),
    ],
)
def test_what_is_not_as_expected_is_one_line(tmp_path, make, words):
    make(tmp_path / "root")
    with pytest.raises(UserError, match=words) as caught:
        build(tmp_path / "root")
    assert all("\n" not in line for line in caught.value.messages)


def test_the_fingerprint_changes_with_the_content(folder):
    params = SPEC.params(path=str(folder))
    before = SPEC.fingerprint(params)
    assert SPEC.fingerprint(params) == before
    write(folder / "plain_text" / "test-00000-of-00001.parquet", [50, 61], [1, 0], ["cat", "dog", "owl"])
    assert SPEC.fingerprint(params) != before


def test_photographs_are_decoded_as_pillow_does(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    pq.write_table(pa.table({"image": [file.getvalue()] * 2, "label": [0, 0]}), tmp_path / "train.parquet")
    assert torch.equal(build(tmp_path).split("train").images[0], torch.from_numpy(pixels).permute(2, 0, 1))


def test_a_test_set_without_labels_is_not_evaluated_on(tmp_path):
    names = ["cat", "dog"]
    write(tmp_path / "train-0.parquet", [1, 2, 3, 4], [0, 1, 0, 1], names)
    write(tmp_path / "test-0.parquet", [5, 6], [-1, -1], names)
    data = build(tmp_path)
    assert data.classes == names
    assert (len(data.split("train")), len(data.split("test"))) == (2, 2)
    write(tmp_path / "validation-0.parquet", [7, 8], [1, 0], names)
    data = build(tmp_path)
    assert data.split("test").images[:, 0, 0, 0].tolist() == [7, 8]
    assert data.split("test").labels.tolist() == [1, 0]


def test_folders_named_for_splits_as_hugging_face_converts_them(tmp_path):
    write(tmp_path / "default" / "train" / "0000.parquet", [1, 2], [0, 1])
    write(tmp_path / "default" / "train" / "0001.parquet", [3, 4], [0, 1])
    write(tmp_path / "default" / "test" / "0000.parquet", [5, 6], [1, 0])
    data = build(tmp_path)
    assert data.split("train").images[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert data.split("test").images[:, 0, 0, 0].tolist() == [5, 6]


def test_several_data_sets_in_one_folder_are_not_mixed(tmp_path):
    for name in ("full", "small"):
        write(tmp_path / name / "train-0.parquet", [1, 2, 3, 4], [0, 1, 0, 1])
    with pytest.raises(UserError, match=r"holds several data sets: full, small; give the path of one of them"):
        build(tmp_path)
    assert len(build(tmp_path / "small").split("train")) == 2


def test_a_struct_is_the_image_rather_than_bytes_beside_it(tmp_path):
    cells = [{"bytes": encoded(value), "path": None} for value in (1, 2, 3, 4)]
    table = pa.table({"digest": [b"x"] * 4, "image": cells, "label": [0, 1, 0, 1]})
    pq.write_table(table, tmp_path / "train.parquet")
    assert len(build(tmp_path).split("train")) == 2


def test_labels_that_are_no_classes_are_named(tmp_path):
    write(tmp_path / "a" / "train.parquet", [1, 2, 3], [0, 1, 7], ["cat", "dog"])
    with pytest.raises(UserError, match=r"label 7 is none of the 2 classes, 0\.\.1"):
        build(tmp_path / "a")
    write(tmp_path / "b" / "train.parquet", [1, 2], [[1], [2]])
    with pytest.raises(
        UserError, match=r"column 'label' of train.parquet holds list<.*>; labels are integers or words"
    ):
        build(tmp_path / "b")


def test_a_bad_row_is_named_with_its_file(folder):
    cells = [{"bytes": encoded(1), "path": None}, {"bytes": b"junk", "path": None}]
    pq.write_table(pa.table({"img": cells, "label": [0, 1]}), folder / "plain_text" / "train-00001-of-00002.parquet")
    with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet row 1: not an image"):
        build(folder)


def test_images_alone_are_read_without_labels(tmp_path):
    path = write(tmp_path / "one.parquet", range(1, 11), [0] * 10)
    data = build(path, label="none")
    assert (data.classes, data.split("train").labels, len(data.split("train"))) == ([], None, 8)
    assert problems(SPEC, path=str(path), label="none") == []
