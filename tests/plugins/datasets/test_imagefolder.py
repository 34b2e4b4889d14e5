from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "imagefolder")


def build(root, **given):
    return SPEC.build(SPEC.params(root=str(root), **given), BuildContext())


def picture(path, size=(30, 20), colour=(200, 30, 60), mode="RGB", **save):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **save)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten images."""
    for name, colour in (("cat", (250, 0, 0)), ("dog", (0, 0, 250))):
        for number in range(10):
            picture(tmp_path / "root" / name / f"{number}.png", (12 + number, 20), colour)
    return tmp_path / "root"


def test_class_folders_become_labels_and_sizes_one(folder):
    data = build(folder, size=16)
    assert (data.classes, data.image_size) == (["cat", "dog"], 16)
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (16, 4)
    assert test.labels.bincount().tolist() == [2, 2]
    for split in (train, test):
        assert split.images.shape[1:] == (3, 16, 16)
        reds = split.images[:, 0].float().mean(dim=(1, 2)) > 100
        assert torch.equal(reds, split.labels == 0)
        assert [path.split("/")[-2] for path in split.paths] == [data.classes[label] for label in split.labels]
    assert problems(SPEC, root=str(folder)) == []


def test_the_split_does_not_depend_on_other_files(folder):
    before = set(build(folder).split("test").paths)
    picture(folder / "dog" / "new.png")
    after = set(build(folder).split("test").paths)
    assert len(before & after) >= 3


def test_train_and_test_folders_are_used_as_they_are(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for name in ("a", "b"):
            for number in range(count):
                picture(tmp_path / split / name / "deep" / f"{number}.JPG")
    data = build(tmp_path)
    assert (len(data.split("train")), len(data.split("test"))) == (8, 4)


def test_a_class_of_the_test_split_alone_is_an_error(tmp_path):
    picture(tmp_path / "train" / "a" / "1.png")
    picture(tmp_path / "test" / "b" / "1.png")
    with pytest.raises(UserError, match=r"test has class 'b', which .*train does not have"):
        build(tmp_path)


def test_classes_called_train_and_test_are_folders_of_images_like_any(tmp_path):
    for number in range(4):
        picture(tmp_path / "train" / f"{number}.png")
        picture(tmp_path / "plane" / f"{number}.png")
    assert build(tmp_path).classes == ["plane", "train"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, r"root=.* does not exist; expected ROOT/CLASS/IMAGE, or ROOT/train/CLASS/IMAGE"),
        (lambda root: root.write_text(""), r"root=.* is a file, not a folder"),
        (lambda root: root.mkdir(), r"has no folder with images in it; expected ROOT/CLASS/IMAGE"),
        (lambda root: picture(root / "1.png"), r"has 1 images but no folder for a class; expected"),
        (
            lambda root: (picture(root / "a" / "1.png"), (root / "b").mkdir()),
            r"class folder .*b holds no image \(endings: .*\.jpg",
        ),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_an_error_with_what_is_expected(tmp_path, make, words):
    root = tmp_path / "root"
    make(root)
    for call in (build, lambda root: SPEC.fingerprint(SPEC.params(root=str(root)))):
        with pytest.raises(UserError, match=words):
            call(root)


def test_what_systems_leave_behind_is_no_image(folder):
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / "cat" / "._1.png").write_bytes(b"x")
    (folder / "cat" / "Thumbs.db").write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / ".hidden").mkdir()
    assert len(build(folder).split("train")) == 16


def spoil(folder):
    """Five files that are no images, each in its own way."""
    good = (folder / "cat" / "0.png").read_bytes()
    (folder / "cat" / "truncated.png").write_bytes(good[: len(good) // 2])
    (folder / "cat" / "empty.jpg").write_bytes(b"")
    (folder / "cat" / "text.jpg").write_text("not an image")
    picture(folder / "cat" / "pixel.png", (1, 1))
    return [
        "empty.jpg: the file is empty",
        "text.jpg: not an image",
        "pixel.png: it is 1 x 1 pixels",
        "truncated.png: ",
    ]


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_cannot_be_read_are_named(folder, split):
    for name in ("train", "test"):
        shutil.copytree(folder, folder.parent / "both" / name)
    expected = spoil(folder.parent / "both" / split)
    with pytest.raises(UserError, match="4 of 24 images cannot be read; on_error=skip leaves them out") as caught:
        build(folder.parent / "both").split(split)
    lines = caught.value.messages
    assert len(lines) == 5
    for words in expected:
        assert any(words in line for line in lines), (words, lines)


def test_they_are_left_out_and_counted_where_one_says_so(folder):
    spoil(folder)
    data = build(folder, on_error="skip")
    assert sum(len(data.split(name)) for name in ("train", "test")) == 20
    assert sum(data.split(name).left_out.get("cannot be read", 0) for name in ("train", "test")) == 4


def test_a_long_list_of_bad_images_is_cut(folder):
    for number in range(9):
        (folder / "cat" / f"bad{number}.png").write_bytes(b"x")
    for name in ("train", "test"):
        shutil.copytree(folder, folder.parent / "both" / name)
    with pytest.raises(UserError, match="and 4 more") as caught:
        build(folder.parent / "both")
    assert len(caught.value.messages) == 7


def one(tmp_path, image, name="x.png", **save):
    """The only training image of a folder, as ``[3, 8, 8]``."""
    path = tmp_path / "root" / "a" / name
    path.parent.mkdir(parents=True)
    image.save(path, **save)
    return build(tmp_path / "root", size=8).split("train").images[0]


def test_every_mode_becomes_rgb(tmp_path):
    for number, (mode, name) in enumerate(
        [("L", "x.png"), ("1", "x.png"), ("CMYK", "x.jpg"), ("P", "x.gif"), ("YCbCr", "x.jpg")]
    ):
        out = one(tmp_path / str(number), Image.new("RGB", (8, 8), "white").convert(mode), name)
        assert out.shape == (3, 8, 8)
        assert out.min() > 250, mode


def test_what_is_transparent_lies_on_white(tmp_path):
    assert one(tmp_path / "1", Image.new("RGBA", (8, 8), (0, 0, 0, 0))).min() == 255
    assert one(tmp_path / "2", Image.new("LA", (8, 8), (0, 0))).min() == 255
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0])
    assert one(tmp_path / "3", palette, transparency=0).min() == 255


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    grey = Image.fromarray(np.full((8, 8), 0x8080, dtype=np.uint16))
    assert one(tmp_path, grey).unique().tolist() == [0x80]


def test_a_camera_held_sideways_is_turned_upright(tmp_path):
    image = Image.new("RGB", (8, 8), "black")
    image.paste("white", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = one(tmp_path, image, "x.jpg", exif=exif, quality=95)
    assert out[:, :, 5:].float().mean() > 240
    assert out[:, :, :3].float().mean() < 15


def test_an_image_with_absurdly_many_pixels_is_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(UserError, match="cannot be read") as caught:
        build(folder)
    assert any("so many pixels that it may be a decompression bomb" in line for line in caught.value.messages)


def test_the_fingerprint_changes_with_the_files(folder):
    params = SPEC.params(root=str(folder))
    before = SPEC.fingerprint(params)
    assert SPEC.fingerprint(params) == before
    picture(folder / "cat" / "0.png", (50, 50))
    assert SPEC.fingerprint(params) != before


def test_validation_is_used_where_the_test_folder_has_no_classes(tmp_path):
    for split in ("train", "val"):
        for number in range(3):
            picture(tmp_path / split / "a" / f"{number}.png")
    picture(tmp_path / "test" / "unlabelled.png")
    data = build(tmp_path)
    assert (len(data.split("train")), len(data.split("test"))) == (3, 3)
    assert all("/val/" in path for path in data.split("test").paths)


def test_test_folders_without_a_train_folder_are_no_classes(tmp_path):
    for split in ("test", "val"):
        picture(tmp_path / split / "a" / "1.png")
    with pytest.raises(UserError, match=r"has test and val but no folder train; expected ROOT/CLASS/IMAGE"):
        build(tmp_path)


def test_linked_folders_are_entered_once_even_in_a_circle(folder, tmp_path):
    for number in range(3):
        picture(tmp_path / "elsewhere" / f"{number}.png")
    (folder / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "again").symlink_to(folder / "cat")
    data = build(folder)
    assert len(data.split("train")) + len(data.split("test")) == 23


def test_a_class_without_a_readable_image_to_train_on_is_an_error(folder):
    for number in range(10):
        (folder / "dog" / f"{number}.png").write_bytes(b"x")
    with pytest.raises(UserError, match="class 'dog' has no image to train on that can be read"):
        build(folder, on_error="skip")


@pytest.mark.parametrize(
    ("values", "dtype", "grey"),
    [(200, "uint16", 200), (65535, "uint16", 255), (0.5, "float32", 128), (128, "float32", 128)],
)
def test_deep_grey_is_scaled_to_the_smallest_depth_that_holds_it(tmp_path, values, dtype, grey):
    image = Image.fromarray(np.full((8, 8), values, dtype=dtype))
    assert one(tmp_path, image, "x.tif").unique().tolist() == [grey]


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        (100_000, "int32", r"its grey values are 100000\.\.100000; 0\.\.65535 are understood"),
        (-1, "float32", r"its grey values are -1\.\.-1; 0\.\.65535 are understood"),
        (float("nan"), "float32", r"its grey values are nan\.\.nan"),
    ],
)
def test_grey_of_an_unknown_range_is_named(tmp_path, values, dtype, words):
    with pytest.raises(UserError, match=words):
        one(tmp_path, Image.fromarray(np.full((8, 8), values, dtype=dtype)), "x.tif")


def test_a_file_that_would_start_another_program_is_no_image(folder, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *given, **_: pytest.fail(f"started {given}"))
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    (folder / "cat" / "page.jpg").write_bytes(page)
    with pytest.raises(UserError, match=r"page\.jpg: not an image that Pillow can read"):
        [build(folder).split(name) for name in ("train", "test")]


@pytest.fixture
def table(tmp_path):
    """Ten images in one folder, and a table of their labels beside it."""
    for number in range(10):
        picture(
            tmp_path / "flat" / f"{number}.png", colour=(250 - number, 0, 0) if number % 2 else (0, 0, 250 - number)
        )
    rows = [f"{number}.png,{'red' if number % 2 else 'blue'}" for number in range(10)]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows))
    return tmp_path


def test_labels_come_from_a_table(table):
    data = build(table / "flat", labels=str(table / "labels.csv"), size=8)
    assert data.classes == ["blue", "red"]
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (8, 2)
    for split in (train, test):
        reds = split.images[:, 0].float().mean(dim=(1, 2)) > 100
        assert torch.equal(reds, split.labels == 1)
    assert problems(SPEC, root=str(table / "flat"), labels=str(table / "labels.csv")) == []


def test_a_table_may_say_the_split_and_paths_may_be_relative_to_it(table):
    rows = [f"flat/{number}.png, red ,{'val' if number > 6 else 'train'}" for number in range(10)]
    (table / "labels.csv").write_text("\ufeffPath,Label,Split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    data = build(table / "flat", labels=str(table / "labels.csv"))
    assert (data.classes, len(data.split("train")), len(data.split("test"))) == (["red"], 7, 3)


def test_the_fingerprint_changes_with_the_labels(table):
    params = SPEC.params(root=str(table / "flat"), labels=str(table / "labels.csv"))
    before = SPEC.fingerprint(params)
    text = (table / "labels.csv").read_text()
    (table / "labels.csv").write_text(text.replace("3.png,red", "3.png,blue"))
    assert SPEC.fingerprint(params) != before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,class\n0.png,red", r"labels=.*: its first line names the columns path and label; it has file, class"),
        ("path,label\n", r"has no row below its first line"),
        ("path,label\nno.png,red\n0.png,red\n", r"1 of 2 rows name no image below .*flat \(line 2: no.png\)"),
        ("path,label\n0.png,\n1.png,-1\n", r"every row is without a label; none is left to train on"),
        ("path,label\n0.png,a\n0.png,b\n", r"1 of 2 rows name an image again \(line 3: 0.png, as line 2\)"),
        ("path,label,split\n0.png,a,test\n", r"every row is of the test split"),
        ("path,label,split\n0.png,a,train\n1.png,b,test\n", r"has class 'b' in its test split alone"),
    ],
)
def test_a_table_that_does_not_fit_the_folder_is_an_error(table, text, words):
    (table / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        build(table / "flat", labels=str(table / "labels.csv"))
    with pytest.raises(UserError, match="nothing.csv cannot be read"):
        build(table / "flat", labels=str(table / "nothing.csv"))


def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(folder):
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(UserError, match=r"gone\.png"):
        build(folder).split("train")
    data = build(folder, on_error="skip")
    splits = [data.split(name) for name in ("train", "test")]
    assert sum(map(len, splits)) == 20
    assert sum(split.left_out.get("cannot be read", 0) for split in splits) == 1
    assert len(SPEC.fingerprint(SPEC.params(root=str(folder)))) == 16


def test_a_link_up_to_the_root_brings_no_images_of_other_classes(folder):
    (folder / "cat" / "up").symlink_to("..")
    assert sum(len(build(folder).split(name)) for name in ("train", "test")) == 20


@pytest.mark.parametrize("below", [".", "cat", "cat/more"])
def test_a_folder_that_cannot_be_read_is_an_error_and_nothing_is_left_out(folder, monkeypatch, below):
    picture(folder / "cat" / "more" / "a.png")
    closed = str((folder / below).resolve())
    scan, listed = os.scandir, os.listdir

    def refused(original):
        def call(path):
            if os.path.realpath(path) == closed:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path)

        return call

    monkeypatch.setattr(os, "scandir", refused(scan))
    monkeypatch.setattr(os, "listdir", refused(listed))
    with pytest.raises(UserError, match=rf"folder .*{folder.name}.* cannot be read: Permission denied"):
        build(folder)
