"""CSV files of labels as strangers write them."""

from __future__ import annotations

import pytest

from sslbench import UserError


@pytest.fixture
def table(built, pictures, tmp_path):
    """Write a table beside a folder of ten images, and build the data set."""
    pictures(tmp_path / "flat", 10)

    def build(header, *rows):
        (tmp_path / "labels.csv").write_text("\n".join([header, *rows]))
        return built("imagefolder", root=tmp_path / "flat", labels=tmp_path / "labels.csv")

    return build


def rows(*splits):
    """Classes a and b in turns, and the cells behind them."""
    return [f"{number}.png,{'ab'[number % 2]},{split}" for number, split in enumerate(splits)]


def names(split):
    return [int(path.rpartition("/")[2].removesuffix(".png")) for path in split.paths]


@pytest.mark.parametrize(
    ("column", "train", "test"),
    [
        ("split", "training", "testing"),
        ("split", "Train", "dev"),
        ("split", "0", "1"),
        ("split", "trainset", "VAL"),
        ("subset", "train", "test"),
        ("Usage", "Training", "Eval"),
        ("split", "tr", "te"),
        ("is_valid", "False", "True"),
        ("is_test", "0", "1"),
        ("is_train", "1", "0"),
        ("isTest", "no", "yes"),
        ("partition", "0", "2"),
        ("is_training_image", "1", "0"),
    ],
)
def test_no_row_of_the_test_split_is_trained_on(table, column, train, test):
    data = table(f"path,label,{column}", *rows(*[train] * 6, *[test] * 4))
    assert names(data.split("train")) == [0, 1, 2, 3, 4, 5]
    assert names(data.split("test")) == [6, 7, 8, 9]
    assert not data.split("test").held_out


def test_numbers_for_three_splits(table):
    data = table("path,label,split", *rows(*"0000112222"))
    assert (names(data.split("train")), names(data.split("test"))) == ([0, 1, 2, 3], [6, 7, 8, 9])
    assert data.split("train").left_out == {"split validation, not used": 2}


def test_columns_of_yes_and_no_for_two_splits(table):
    cells = ["0,0"] * 4 + ["1,0"] * 4 + ["0,1"] * 2
    data = table("path,label,is_valid,is_test", *rows(*cells))
    assert (names(data.split("train")), names(data.split("test"))) == ([0, 1, 2, 3], [8, 9])


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        (
            "split",
            ["train"] * 9 + ["tset"],
            r"column split has 'tset' \(line 11\), which is no split; allowed: train \(",
        ),
        ("split", ["train"] * 9 + [""], r"column split has '' \(line 11\), which is no split"),
        ("split", ["true"] * 9 + ["false"], r"column split has 'false', 'true' \(line 11\), which is no split"),
        ("usage", ["Training"] * 9 + ["PublicTest"], r"column usage has 'publictest' \(line 11\), which is no split"),
        ("is_valid", ["0"] * 9 + ["maybe"], r"column is_valid has 'maybe' \(line 11\); allowed: true, false, 1, 0"),
        ("is_test,is_valid", ["0,0"] * 9 + ["1,1"], r"line 11 is of the splits test and validation; one is needed"),
        ("split,is_valid", ["train,0"] * 10, r"columns split and is_valid all say the split; keep one"),
        ("which", ["train"] * 9 + ["test"], r"column 'which' looks like the split; name it split"),
        ("test", ["0"] * 9 + ["1"], r"column 'test' looks like the split; name it is_test"),
        ("label", ["c"] * 10, r"its first line names the column 'label' twice"),
        ("split", ["train,oops"] * 10, r"line 2 has more cells than the first line has columns \(3\)"),
    ],
)
def test_a_table_whose_splits_are_not_clear_is_one_line(table, column, cells, words):
    with pytest.raises(UserError, match=words) as caught:
        table(f"path,label,{column}", *rows(*cells))
    assert len(caught.value.messages) == 1


def test_other_columns_are_left_alone(table):
    data = table("path,label,set,phase_of_moon,valid", *rows(*["A,full,yes please"] * 10))
    assert data.split("test").held_out


def test_rows_without_a_label_are_left_out_and_counted(table):
    labels = ["a", "b", "", "-1", "a", "b", "a", "", "-1", "b"]
    splits = ["train"] * 6 + ["test"] * 4
    lines = [f"{number}.png,{label},{split}" for number, (label, split) in enumerate(zip(labels, splits, strict=True))]
    data = table("path,label,split", *lines)
    assert (names(data.split("train")), names(data.split("test"))) == ([0, 1, 4, 5], [6, 9])
    assert data.classes == ["a", "b"]
    assert data.split("train").left_out == {"without a label": 4}


def test_a_test_split_without_labels_is_not_evaluated_on(table):
    lines = [*rows(*["train"] * 8), "8.png,,test", "9.png,-1,test"]
    data = table("path,label,split", *lines)
    assert data.split("test").held_out
    assert sorted(names(data.split("train")) + names(data.split("test"))) == list(range(8))
    assert data.split("train").left_out == {"split test, without labels": 2}


def test_minus_one_is_no_class_and_a_table_that_means_one_says_so(table):
    lines = [f"{number}.png,{label}" for number, label in enumerate(["1", "-1"] * 5)]
    with pytest.raises(UserError, match=r"the labels are -1 and 1, and -1 means that there is no label; write the"):
        table("path,label", *lines)


@pytest.mark.parametrize("again", ["a/../0.png", "./0.png", "../flat/0.png", "link.png"])
def test_an_image_that_is_named_again_in_another_spelling(table, tmp_path, again):
    (tmp_path / "flat" / "a").mkdir()
    (tmp_path / "flat" / "link.png").symlink_to("0.png")
    with pytest.raises(UserError, match=r"1 of 3 rows name an image again \(line 4: .*0?\.?p?n?g?, as line 2\)"):
        table("path,label", "0.png,a", "1.png,b", f"{again},a")


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 2500, "nul\0.png"])
def test_a_path_that_no_system_has_is_one_short_line(table, name):
    with pytest.raises(UserError, match=r"1 of 2 rows name no image below ") as caught:
        table("path,label", "0.png,a", f"{name},b")
    assert all(len(line) < 500 and "\n" not in line for line in caught.value.messages)


def test_images_that_a_table_does_not_name_are_counted(picture, table, tmp_path):
    picture(tmp_path / "flat" / "@eaDir" / "1.png")
    data = table("path,label", *[f"{number}.png,{'ab'[number % 2]}" for number in range(6)])
    assert data.split("train").left_out == {"not named in labels.csv": 4, "hidden, or left by a system": 1}


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_may_end_with_a_semicolon_or_a_tab(table, mark):
    data = table(f"path{mark}label", *(f"{number}.png{mark}{'a, b' if number % 2 else 'c'}" for number in range(10)))
    assert data.classes == ["a, b", "c"]
    assert sum(len(data.split(name)) for name in ("train", "test")) == 10


@pytest.mark.parametrize("prefix", ["flat\\", ".\\flat\\"])
def test_paths_may_be_written_as_windows_does(table, prefix):
    data = table("path,label", *(f"{prefix}{number}.png,{'ab'[number % 2]}" for number in range(10)))
    assert sum(len(data.split(name)) for name in ("train", "test")) == 10


@pytest.mark.parametrize("column", ["fold", "kfold", "Subset"])
def test_a_column_of_folds_does_not_say_what_to_evaluate_on(table, column):
    with pytest.raises(UserError, match=r"numbers parts \(0, 1, 2\), and which one to evaluate on is not known; add a"):
        table(f"path,label,{column}", *rows(*"0123401234"))


def test_columns_without_a_name_are_no_mistake(table):
    data = table(",path,,label", *(f"{number},{number}.png,x,{'ab'[number % 2]}" for number in range(10)))
    assert data.classes == ["a", "b"]


def test_what_programs_write_for_a_missing_label_is_no_class(table):
    labels = ["a", "b", "nan", "NaN", "<NA>", "null", "-1.0", "None", "a", "b"]
    data = table("path,label", *(f"{number}.png,{label}" for number, label in enumerate(labels)))
    assert data.classes == ["None", "a", "b"]
    assert data.split("train").left_out == {"without a label": 5}


@pytest.mark.parametrize("labels", [("Cat", "cat"), ("1", "1.0"), ("caf\u00e9", "cafe\u0301")])
def test_labels_that_are_most_likely_one_class_are_one_line(table, labels):
    with pytest.raises(UserError, match=r"labels.csv: the classes .* differ by .* alone; write one class in one way"):
        table("path,label", *(f"{number}.png,{labels[number % 2]}" for number in range(10)))


@pytest.mark.parametrize(
    "content", ["path,label\n0.png,é".encode("latin-1"), "path".encode("utf-16"), b"PK\x03\x04\xb5"]
)
def test_a_table_that_is_no_text_is_one_plain_line(built, pictures, tmp_path, content):
    pictures(tmp_path / "flat", 2)
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError) as caught:
        built("imagefolder", root=tmp_path / "flat", labels=tmp_path / "labels.csv")
    where = f"labels={tmp_path / 'labels.csv'} cannot be read"
    assert str(caught.value) == f"{where}: it is no text in UTF-8; expected a CSV file"
    with pytest.raises(UserError, match=r"flat cannot be read: Is a directory$"):
        built("imagefolder", root=tmp_path / "flat", labels=tmp_path / "flat")
