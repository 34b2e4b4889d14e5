"""Folders as strangers lay them out: which are splits, which are classes, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sslbench import UserError


@pytest.fixture
def layout(pictures):
    """Write ``ROOT/FOLDER/{cat,dog}`` with so many images each."""

    def write(root, **counts):
        for start, (folder, count) in enumerate(counts.items()):
            for shift, name in enumerate(("cat", "dog")):
                pictures(root / folder / name, count, 60 * start + 30 * shift)
        return root

    return write


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("train", "dev"),
        ("training_set", "test_set"),
        ("TRAIN", "val"),
        ("tr", "te"),
        ("trainset", "testset"),
        ("train2017", "val2017"),
        ("train_images", "eval"),
        ("1_train", "2_validation"),
    ],
)
def test_pairs_of_splits_are_used_as_they_are_and_are_no_classes(built, layout, tmp_path, train, test):
    data = built("imagefolder", root=layout(tmp_path, **{train: 4, test: 2}))
    assert data.classes == ["cat", "dog"]
    for name, folder, count in (("train", train, 8), ("test", test, 4)):
        split = data.split(name)
        assert len(split) == count
        assert all(f"/{folder}/" in path for path in split.paths)
    assert data.split("train").left_out == {}
    assert not data.split("test").held_out


def test_a_class_folder_without_splits_is_held_out_from(built, layout, tmp_path):
    data = built("imagefolder", root=layout(tmp_path, **{"": 10}))
    assert (len(data.split("train")), len(data.split("test"))) == (16, 4)
    assert data.split("test").held_out
    assert not data.split("train").held_out


def test_test_comes_before_validation_which_is_counted(built, layout, tmp_path):
    data = built("imagefolder", root=layout(tmp_path, train=4, val=20, Test=2))
    assert all("/Test/" in path for path in data.split("test").paths)
    assert data.split("train").left_out == {"split val, not used": 40}
    assert data.split("test").left_out == {}


def test_a_test_folder_without_classes_is_counted_and_validation_used(built, layout, pictures, tmp_path):
    layout(tmp_path, train=4, valid=2)
    pictures(tmp_path / "testing", 7)
    data = built("imagefolder", root=tmp_path)
    assert len(data.split("test")) == 4
    assert data.split("train").left_out == {"split testing, not used": 7}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ({"seg_train": 2, "seg_test": 2}, r"'seg_\w+', 'seg_\w+' look like splits and are none that is known; rename"),
        ({"train": 2, "tset": 2}, r"'tset' looks like a split and is none that is known; rename to train"),
        ({"train": 2, "Train": 2}, r"both mean the split train; keep one"),
        ({"cat": 2, "dog": 2, "test": 1}, r"has test but no folder train; .*a class cannot have the name of a split"),
        (
            {"photos/train": 2, "photos/test": 2},
            r"photos holds the splits test and train, which .*; give root=.*photos",
        ),
        ({"cat/Training": 2, "cat/dev": 2, "dog": 2}, r"cat holds the splits Training and dev, which would be mixed"),
        ({"train/a/train": 2, "train/a/test": 2}, r"a holds the splits test and train, which would be mixed"),
    ],
)
def test_folders_whose_splits_are_not_clear_are_one_line(built, layout, tmp_path, folders, words):
    with pytest.raises(UserError, match=words) as caught:
        built("imagefolder", root=layout(tmp_path, **folders))
    assert len(caught.value.messages) == 1


def test_flat_splits_are_no_classes(built, pictures, tmp_path):
    for name in ("Training", "Testing"):
        pictures(tmp_path / name, 3)
    with pytest.raises(UserError, match=r"Training has 3 images but no folder for a class; expected"):
        built("imagefolder", root=tmp_path)


def test_what_systems_leave_and_what_is_no_image_is_left_out_and_counted(built, layout, picture, tmp_path):
    layout(tmp_path, **{"": 10})
    for folder in (
        "@eaDir",
        ".thumbnails",
        "__MACOSX",
        "$RECYCLE.BIN",
        ".ipynb_checkpoints",
        "System Volume Information",
    ):
        picture(tmp_path / folder / "cat.png")
        picture(tmp_path / "cat" / folder / "0.png")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (tmp_path / "dog" / name).write_bytes(b"x")
    (tmp_path / "cat" / "notes.txt").write_text("")
    (tmp_path / "README").write_text("")
    picture(tmp_path / "loose.png")
    data = built("imagefolder", root=tmp_path)
    assert data.classes == ["cat", "dog"]
    assert sum(len(data.split(name)) for name in ("train", "test")) == 20
    assert data.split("train").left_out == {
        "hidden, or left by a system": 15,
        "not read: .txt": 1,
        "not read: no ending": 1,
        "outside the class folders": 1,
    }


@pytest.mark.parametrize("dataset", ["imagefolder", "images"])
def test_photographs_that_cannot_be_read_are_counted_by_their_ending(built, pictures, tmp_path, dataset):
    pictures(tmp_path / "me", 10)
    pictures(tmp_path / "you", 10)
    for number in range(180):
        (tmp_path / "me" / f"IMG_{number}.HEIC").write_bytes(b"ftypheic")
    data = built(dataset, root=tmp_path)
    assert sum(len(data.split(name)) for name in ("train", "test")) == 20
    assert data.split("train").left_out == {"not read: .heic": 180}


def test_a_class_of_such_photographs_alone_is_named(built, pictures, tmp_path):
    pictures(tmp_path / "me", 3)
    (tmp_path / "you").mkdir()
    (tmp_path / "you" / "a.heic").write_bytes(b"x")
    with pytest.raises(UserError, match=r"you holds no image but 1 files with \.heic \(endings: "):
        built("imagefolder", root=tmp_path)


def test_images_without_classes_say_which_data_set_reads_them(built, pictures, tmp_path):
    pictures(tmp_path / "flat", 3)
    with pytest.raises(UserError, match=r"has 3 images but no folder for a class; .*; images:root=.*flat reads them"):
        built("imagefolder", root=tmp_path / "flat")


def test_digests_tell_equal_files_and_sides_are_those_before_resizing(built, tmp_path):
    for name, size in (("a", (30, 20)), ("b", (12, 44))):
        for number in range(4):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", size, (number, 0, 0)).save(path)
    (tmp_path / "b" / "3.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    data = built("imagefolder", root=tmp_path, size=8)
    digests = {}
    for name in ("train", "test"):
        split = data.split(name)
        assert len(split.digests) == len(split)
        digests |= dict(zip(split.paths, split.digests, strict=True))
    assert len(set(digests.values())) == 7
    assert digests[str(tmp_path / "a" / "0.png")] == digests[str(tmp_path / "b" / "3.png")]
    sides = np.array([data.split(name).sides for name in ("train", "test")])
    assert (sides[:, 0].min(), sides[:, 1].max()) == (12, 44)


@pytest.fixture
def maps(picture):
    """Write three images with masks."""

    def write(root, split):
        for number in range(3):
            picture(root / split / "images" / f"{number}.png")
            picture(root / split / "masks" / f"{number}.png", number)

    return write


@pytest.mark.parametrize(("train", "test"), [("Training", "Testing"), ("train", "dev"), ("training_set", "test_set")])
def test_folders_with_maps_have_the_same_words(built, maps, tmp_path, train, test):
    maps(tmp_path, train)
    maps(tmp_path, test)
    data = built("imagefolder-maps", root=tmp_path)
    assert all(f"/{test}/" in path for path in data.split("test").paths)
    maps(tmp_path, "tset")
    with pytest.raises(UserError, match="'tset' looks like a split"):
        built("imagefolder-maps", root=tmp_path)


def test_folders_with_maps_count_what_they_leave_out(built, maps, picture, tmp_path):
    for split in ("train", "test", "val"):
        maps(tmp_path, split)
    picture(tmp_path / "train" / "masks" / "other.png")
    data = built("imagefolder-maps", root=tmp_path)
    assert data.split("train").left_out == {"split val, not used": 6, "beside the images and their maps": 1}


@pytest.mark.parametrize(
    "names",
    [
        ("fold_1", "fold_2"),
        ("partition1", "partition2"),
        ("subset-1", "subset2", "subset3"),
        ("phase1", "phase2"),
        ("query", "gallery"),
        ("labeled", "unlabelled"),
        ("Trainingsdaten", "Testdaten"),
        ("train1", "train2"),
    ],
)
def test_parts_of_a_data_set_are_no_classes(built, layout, tmp_path, names):
    with pytest.raises(
        UserError, match=r"hold the same folders \(cat and dog\) and would be taken for classes"
    ) as caught:
        built("imagefolder", root=layout(tmp_path, **dict.fromkeys(names, 2)))
    assert str(tmp_path) in str(caught.value)


def test_classes_may_hold_the_same_folders_or_have_the_name_of_a_part(built, layout, pictures, tmp_path):
    assert built("imagefolder", root=layout(tmp_path / "x", lion=2, tiger=2)).classes == ["lion", "tiger"]
    for name in ("source", "target"):
        pictures(tmp_path / "y" / name, 4)
    assert built("imagefolder", root=tmp_path / "y").classes == ["source", "target"]


@pytest.mark.parametrize("folders", [{"photos": 2}, {"train/train": 2, "test/test": 2}])
def test_a_single_folder_around_the_classes_is_no_class(built, layout, tmp_path, folders):
    with pytest.raises(UserError, match=r"has the one folder \w+, with cat and dog in it; give root=.*, or move them"):
        built("imagefolder", root=layout(tmp_path, **folders))


@pytest.mark.parametrize("pair", [("cat", "Cat"), ("cat", "cat "), ("caf\u00e9", "cafe\u0301"), ("1", "01")])
@pytest.mark.parametrize("splits", [("", ""), ("train", "test")])
def test_folders_that_are_most_likely_one_class_are_one_line(built, pictures, tmp_path, pair, splits):
    for name, split in zip(pair, splits, strict=True):
        pictures(tmp_path / split / name, 3)
    pictures(tmp_path / splits[0] / "dog", 3, 9)
    with pytest.raises(UserError, match=r"the classes .* differ by .* alone; write one class in one way"):
        built("imagefolder", root=tmp_path)


def test_links_and_copies_within_and_across_splits_are_known_by_their_digests(built, layout, tmp_path):
    layout(tmp_path, train=3, test=1)
    (tmp_path / "test/cat/link.png").symlink_to(tmp_path / "train/cat/0.png")
    (tmp_path / "train/cat/copy.png").write_bytes((tmp_path / "train/cat/1.png").read_bytes())
    data = built("imagefolder", root=tmp_path)
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(set(train.digests))) == (7, 6)
    assert len(set(test.digests) & set(train.digests)) == 1
