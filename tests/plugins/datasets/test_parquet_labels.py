"""Parquet files whose labels, columns and names are not as one would like them."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import sslbench
from sslbench import UserError

CAT, DOG = 40, 200
"""grey of the images of each class"""


def png(grey):
    file = io.BytesIO()
    Image.new("L", (8, 8), grey).save(file, "png")
    return file.getvalue()


def write(path, greys, labels, names=None, **columns):
    """``names``: of the classes, as Hugging Face's ClassLabel has them. No two images are equal."""
    cells = [png(grey + number % 9) for number, grey in enumerate(greys)]
    table = pa.table({**columns, "image": cells, "label": labels})
    if names:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def classes_of(split, data):
    """The class of each image by its label, and by its grey."""
    grey = split.images[:, 0, 0, 0]
    return [data.classes[label] for label in split.labels], ["cat" if value < 100 else "dog" for value in grey]


def permuted(folder, second=("dog", "cat")):
    write(folder / "train-0.parquet", [CAT, DOG] * 15, [0, 1] * 15, ["cat", "dog"])
    write(folder / "train-1.parquet", [CAT, DOG] * 15, [1, 0] * 15, list(second))
    write(folder / "test-0.parquet", [CAT, DOG] * 15, [1, 0] * 15, list(second))
    return folder


def test_class_names_in_another_order_are_matched_by_name(built, tmp_path):
    data = built("parquet", path=permuted(tmp_path))
    assert data.classes == ["cat", "dog"]
    for name in ("train", "test"):
        by_label, by_grey = classes_of(data.split(name), data)
        assert by_label == by_grey


def test_so_knn_is_perfect(tmp_path):
    data = f"parquet:path={permuted(tmp_path / 'data')}"
    results = sslbench.run(data=data, methods="raw-pixels", evaluators="knn", out=tmp_path / "out", progress=False)
    assert results.records[0].metrics["knn_top1"].value == 1.0


def test_words_dictionaries_and_names_are_one_vocabulary(built, tmp_path):
    write(tmp_path / "train-0.parquet", [CAT, DOG] * 3, ["cat", "dog"] * 3)
    write(tmp_path / "train-1.parquet", [CAT, DOG] * 3, pa.array(["cat", "dog"] * 3).dictionary_encode())
    write(tmp_path / "test-0.parquet", [CAT, DOG], [1, 0], ["dog", "cat"])
    data = built("parquet", path=tmp_path)
    for name in ("train", "test"):
        by_label, by_grey = classes_of(data.split(name), data)
        assert by_label == by_grey


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (([0, 1], None), ([0, 2], None), r"has class '2' in its test split alone"),
        (([0, 1], ["cat", "dog"]), ([0, 1], ["cat", "owl"]), r"has class 'owl' in its test split alone"),
        (
            (["cat", "dog"], None),
            ([0, 1], None),
            r"train.parquet are words, those of test.parquet are integers",
        ),
        (
            ([0, 1], None),
            (["0", "1"], None),
            r"train.parquet are integers, those of test.parquet are words",
        ),
        (([0.0, 0.5], None), ([0.0, 1.0], None), r"'label' of train.parquet holds 0.5; labels are integers or"),
        (([-1, None], None), ([0, 1], None), r"no training row has a label"),
        (([1, -1], None), ([1, -1], None), r"the labels are -1 and 1, and -1 means that there is no label"),
        (([0, 1], ["cat", "cat"]), ([0, 1], None), r"train.parquet has two classes of the name 'cat'"),
    ],
)
def test_labels_that_do_not_fit_together_are_one_line(built, tmp_path, train, test, words):
    for name, (labels, names) in (("train", train), ("test", test)):
        write(tmp_path / f"{name}.parquet", [CAT, DOG], labels, names)
    with pytest.raises(UserError, match=words) as caught:
        built("parquet", path=tmp_path)
    assert len(caught.value.messages) == 1


def test_integers_without_names_between_files_that_number_differently(built, tmp_path):
    permuted(tmp_path)
    write(tmp_path / "train-2.parquet", [CAT, DOG], [0, 1])
    with pytest.raises(UserError, match=r"train-2.parquet holds integers without names, and other files"):
        built("parquet", path=tmp_path)


@pytest.mark.parametrize(
    "labels",
    [[0, 1, -1, None, 0, 1], ["a", "b", "", None, "a", "b"], [0.0, 1.0, -1.0, float("nan"), 0.0, 1.0]],
    ids=["integers", "words", "numbers as pandas writes them"],
)
def test_rows_without_a_label_are_left_out_and_counted(built, tmp_path, labels):
    write(tmp_path / "train.parquet", range(6), labels)
    write(tmp_path / "test.parquet", range(6), labels)
    data = built("parquet", path=tmp_path)
    assert [len(data.split(name)) for name in ("train", "test")] == [4, 4]
    assert data.split("train").labels.tolist() == [0, 1, 0, 1]
    assert torch.equal(data.split("train").images[:, 0, 0, 0], torch.tensor([0, 2, 8, 10], dtype=torch.uint8))
    assert data.split("train").left_out == {"without a label": 4}


@pytest.mark.parametrize("name", ["test", "train", "validation"])
def test_a_root_folder_may_have_the_name_of_a_split(built, tmp_path, name):
    write(tmp_path / name / "0000.parquet", [CAT, DOG] * 5, [0, 1] * 5)
    data = built("parquet", path=tmp_path / name)
    assert (len(data.split("train")), len(data.split("test"))) == (8, 2)
    assert data.split("test").held_out


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training.parquet", "Testing.parquet"),
        ("training_set-0001.parquet", "test_set-0001.parquet"),
        ("photos_train.parquet", "photos_dev.parquet"),
        ("trainset/0.parquet", "eval/0.parquet"),
        ("train-00000-of-00001-0123456789abcdef.parquet", "valid-00000-of-00001.PARQUET"),
    ],
)
def test_files_and_folders_have_the_words_of_splits(built, tmp_path, train, test):
    write(tmp_path / train, [CAT, DOG], [0, 1])
    write(tmp_path / test, [CAT] * 3 + [DOG], [0] * 3 + [1])
    data = built("parquet", path=tmp_path)
    assert (len(data.split("train")), len(data.split("test"))) == (2, 4)
    assert not data.split("test").held_out


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train.parquet", "tset.parquet"), r"'tset.parquet' looks like a split and is none that is known"),
        (("trian.parquet", "tset.parquet"), r"'trian.parquet', 'tset.parquet' look like splits"),
        (("train-test.parquet",), r"train-test.parquet has the names of the splits test and train; rename it to one"),
    ],
)
def test_names_whose_split_is_not_clear(built, tmp_path, names, words):
    for name in names:
        write(tmp_path / name, [CAT, DOG], [0, 1])
    with pytest.raises(UserError, match=words):
        built("parquet", path=tmp_path)


def test_what_is_no_part_of_the_splits_is_counted(built, tmp_path):
    for name, count in (("train", 4), ("test", 2), ("validation", 6), ("extra", 3)):
        write(tmp_path / f"{name}.parquet", [CAT, DOG, CAT, DOG, CAT, DOG][:count], [0, 1, 0, 1, 0, 1][:count])
    (tmp_path / "README.md").write_text("")
    (tmp_path / "._train.parquet").write_bytes(b"left by a Mac")
    assert built("parquet", path=tmp_path).split("train").left_out == {
        "split validation, not used": 6,
        "in extra.parquet, of no split": 3,
        "not read: .md": 1,
        "hidden, or left by a system": 1,
    }


def test_a_mask_is_not_the_image(built, tmp_path):
    write(tmp_path / "train.parquet", [CAT, DOG] * 3, [0, 1] * 3, mask=[{"bytes": png(0), "path": None}] * 6)
    data = built("parquet", path=tmp_path)
    assert data.split("train").images[:, 0, 0, 0].min() >= CAT


def test_several_columns_that_may_be_the_image_are_named(built, tmp_path):
    cells = [png(1), png(2)]
    pq.write_table(pa.table({"left": cells, "right": cells, "label": [0, 1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x.parquet has several columns of images: left, right; image=COLUMN"):
        built("parquet", path=tmp_path)
    assert len(built("parquet", path=tmp_path, image="right").split("train")) == 2


def test_equal_rows_have_equal_digests_and_sides_are_known(built, tmp_path):
    write(tmp_path / "train.parquet", [1, 2], [0, 1])
    write(tmp_path / "test.parquet", [1, 5], [0, 1])
    data = built("parquet", path=tmp_path, size=16)
    train, test = (data.split(name) for name in ("train", "test"))
    assert (train.digests[0] == test.digests[0], train.digests[1] == test.digests[1]) == (True, False)
    assert train.sides == (8, 8)


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("split", ["train", "train", "test", "test"]),
        ("Partition", ["training", "dev", "training", "dev"]),
        ("set", ["val", "val", "train", "train"]),
        ("is_valid", [False, False, True, True]),
        ("partition", [0, 0, 2, 2]),
        ("fold", [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("name", ["photos.parquet", "train.parquet"])
def test_no_row_that_a_column_says_is_tested_is_trained_on(built, tmp_path, name, column, cells):
    write(tmp_path / name, [CAT, DOG] * 2, [0, 1] * 2, **{column: cells})
    with pytest.raises(
        UserError, match=r"parquet: .*rows are split by file alone; write|which one to evaluate on is not"
    ):
        built("parquet", path=tmp_path)


@pytest.mark.parametrize(
    ("column", "cells"),
    [("split", ["train"] * 4), ("set", ["LEA", "2ED", "LEA", "2ED"]), ("is_red", [True, False] * 2)],
)
def test_columns_that_say_no_other_split_are_no_mistake(built, tmp_path, column, cells):
    write(tmp_path / "train.parquet", [CAT, DOG] * 2, [0, 1] * 2, **{column: cells})
    assert sum(len(built("parquet", path=tmp_path).split(name)) for name in ("train", "test")) == 4


def test_words_that_are_most_likely_one_class_are_one_line(built, tmp_path):
    write(tmp_path / "train.parquet", [CAT, DOG] * 2, ["cat", "dog"] * 2)
    write(tmp_path / "test.parquet", [CAT, DOG] * 2, ["Cat", "dog"] * 2)
    with pytest.raises(UserError, match=r"parquet .*: the classes 'Cat' and 'cat' differ by case alone"):
        built("parquet", path=tmp_path)
