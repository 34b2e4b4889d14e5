"""``sslbench look`` as it is typed."""

from __future__ import annotations

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call
from sslbench.hooks.registry import default_registry
from sslbench.look.look import look as look_at
from sslbench.look.wanted import LookRequest


def test_facts_and_a_picture_of_a_folder(look, photos, tmp_path):
    code, out, err = look("photos", "-a", "simclr", "-a", "dino", "-k", "block:ratio=0.75", "-o", "views.png")
    assert (code, err) == (0, "sslbench: views.png: 5 pictures\n")
    lines = out.splitlines()
    assert lines[0].startswith(
        "photos: 10 images to train on, 2 others held out to evaluate on (50% are 'cat'), 2 classes"
    )
    assert [line.split()[:3] for line in lines if "#" in line] == [["cat", "5", "1"], ["собака", "5", "1"]]
    assert f"  12 files below {photos}" in lines
    assert "  12 PNG; 12 colour" in lines
    assert "odd:" not in lines
    with Image.open(tmp_path / "views.png") as image:
        assert image.info["Software"] == "sslbench look"
        described = image.info["Description"].splitlines()
        assert image.width > 480
        assert image.height > 1000
    assert [line.partition(":")[0] for line in described] == [
        "10 of 10 training images as they are read, 64 x 64 px, of 2 classes. Names that the picture cannot write",
        "Each row is a training image as it is read, and 6 random views of it by augmentation simclr",
        "Each row is a training image as it is read, and 6 random views of it by augmentation dino",
        "Each row is an image as the model is given it, and 6 masks drawn for it by masking block",
        "Images of 2 classes",
    ]
    assert "dino: global views of 64 px and local views of 27 px. Names" in described[2]
    assert all(line.endswith("Names that the picture cannot write: class 1 is собака.") for line in described)
    assert "48 of 64 patches of 8 x 8 px are masked (grey), 16 are visible (25%)" in described[3]


def test_eleven_images_of_odd_shapes_and_kinds(look, odd):
    code, out, err = look("odd", "-o", "odd.html")
    assert (code, err) == (0, "sslbench: odd.html: 4 pictures\n")
    lines = [line.strip() for line in out.splitlines()]
    for expected in (
        "dot.png: it is 1 x 1 pixels; at least 2 on a side are needed",
        "flat.png: it is 5000 x 1 pixels; at least 2 on a side are needed",
        "upright.png: it is 1 x 5000 pixels; at least 2 on a side are needed",
        "they are left out here; run stops at them unless the data set is given on_error=skip",
        "2 files: transparent, read without transparency (la.png, palette.png)",
        "1 file: several frames, of which the first is read (animated.gif)",
        "1 file: longer than 3 to 1 (panorama.jpg)",
        "1 file: turned by EXIF (turned.jpg)",
        "1 file: JPEG under the ending of another format (jpeg.png)",
        "1 file: CMYK, read as RGB (cmyk.jpg)",
        "1 file: deep grey, read as 8 bits (deep.png)",
        "integer: 65535 is white, in every image of this data set",
        "images without labels: no folder for a class (run -d images:root=odd takes them)",
    ):
        assert expected in lines
    assert "3 cannot be read, 2 frames after the first of their images" in " ".join(lines)


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.links += [given[name] for name in ("src", "href") if name in given]
        self.images += [given] if tag == "img" else []


def test_a_page_needs_nothing_beside_it(look, photos, tmp_path):
    assert look("photos", "-o", "look.html")[0] == 0
    text = (tmp_path / "look.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"url\(|@import|https?://", text)
    assert len(page.images) == 3
    assert all(image["alt"].endswith(".") for image in page.images)
    assert '<th scope="row">собака</th>' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_names_of_others_are_text_in_a_page(look, tmp_path, picture):
    folder = tmp_path / "photos" / "<script>x"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(picture(70, 70 + number)).save(folder / f"{number}.png")
    assert look("photos", "-o", "look.html")[0] == 0
    text = (tmp_path / "look.html").read_text()
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;x" in text


def test_json_has_everything_but_the_pixels(look, odd):
    code, out, err = look("odd", "--format", "json")
    assert code == 0
    assert err == "sslbench: the pictures: add -o look.png, or -o look.html\n"
    data = json.loads(out)
    assert data["schema"] == 2
    assert data["facts"]["train_images"] + data["facts"]["test_images"] == 8
    assert len(data["unreadable"]) == 3
    assert {os.path.basename(file["path"]) for file in data["files"]["odd"]} >= {"cmyk.jpg", "turned.jpg"}
    assert [picture["name"] for picture in data["pictures"]] == ["images", "odd-files", "views-simclr", "masks-random"]


def test_without_a_file_and_without_a_terminal_the_facts_are_printed(look, photos):
    code, out, err = look("photos")
    assert code == 0
    assert "\x1b" not in out
    assert err == "sslbench: the pictures: add -o look.png, or -o look.html\n"
    assert out.splitlines()[-4:] == [
        "shown:",
        "  augmentation simclr (the data set recommends none; -a NAME shows another)",
        "  masking random (the default; -k NAME:ratio=0.5 shows another)",
        "  names that pictures cannot write: class 1 is собака",
    ]


def test_what_a_data_set_recommends_is_shown(look):
    assert "augmentation affine (recommended by dataset 'digits'; -a NAME shows another)" in look("digits")[1]
    names = [picture.name for picture in look_at(LookRequest("digits", ("auto",)), default_registry()).pictures]
    assert names == ["images", "views-affine", "masks-random", "classes"]


def test_equal_images_are_named_those_of_different_classes_first(look, photos):
    shutil.copy(photos / "cat/0.png", photos / "cat/copy.png")
    shutil.copy(photos / "cat/1.png", photos / "собака/copy.png")
    out = look("photos")[1]
    lines = out.partition("equal:\n")[2].splitlines()[:2]
    assert lines[0].startswith("  2 images (of cat, собака")
    assert re.search(
        r"2 images(| \(some to train on, some to evaluate on\)): cat/(0|copy).png, cat/(0|copy).png", lines[1]
    )
    assert "photos: 2 images with an equal one of another class" in out


def test_one_image_is_shown_and_what_a_run_needs_is_said(look, tmp_path, picture):
    (tmp_path / "one").mkdir()
    Image.fromarray(picture(40, 40)).save(tmp_path / "one/a.png")
    code, out, _ = look("one", "-o", "one.png")
    assert code == 0
    assert "run needs at least 2 images to train on and 1 to evaluate on" in out
    assert "  1 file: smaller than 64 px, enlarged (a.png)" in out


def test_of_many_classes_the_largest_and_the_smallest_are_shown(look, tmp_path, picture):
    for number in range(60):
        folder = tmp_path / f"many/{number:02d}"
        folder.mkdir(parents=True)
        for image in range(3 if number == 31 else 2):
            Image.fromarray(picture(8, 8 + 2 * number + image)).save(folder / f"{image}.png")
    code, out, _ = look("many:size=8", "--patch", 2, "-o", "many.html")
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines() if "#" in line]
    assert (len(rows), rows[0]) == (20, "31")
    assert "40 of 60 classes lie between these in size (--format json has all)" in out
    assert "<summary>10 smaller classes</summary>" in (tmp_path / "many.html").read_text()
    captions = [
        picture.caption for picture in look_at(LookRequest("many:size=8", patch=2), default_registry()).pictures
    ]
    assert captions[-1].endswith("; the 20 largest and the 20 smallest are shown.")


def test_a_picture_takes_the_place_of_an_earlier_one_and_of_nothing_else(look, photos, tmp_path):
    assert look("photos", "-o", "new/folder/look.png")[0] == 0
    before = (tmp_path / "new/folder/look.png").read_bytes()
    assert look("photos", "-o", "new/folder/look.png", "--seed", "1")[0] == 0
    assert (tmp_path / "new/folder/look.png").read_bytes() != before
    shutil.copy(photos / "cat/0.png", "mine.png")
    code, out, err = look("photos", "-o", "mine.png")
    assert (code, out) == (2, "")
    assert err == (
        "sslbench: error: -o mine.png: is there, and sslbench look did not write it; name another file, or remove it\n"
    )
    code, _, err = look("photos", "-o", "photos/cat/look.png")
    assert code == 2
    assert "lies among the images of photos and would become one; name another folder" in err
    assert not (photos / "cat/look.png").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-o", "x.jpg"), "-o x.jpg: the ending says the format; did you mean '.png'?; allowed: .png, .html"),
        (("-o", "x"), "-o x: the ending says the format; allowed: .png, .html"),
        (("-o", "folder.png"), "-o folder.png: is a folder; name a file"),
        (("-a", "simclrr"), "--augmentation: unknown augmentation 'simclrr'; did you mean 'simclr'?"),
        (("-k", "blok"), "--masking: unknown masking 'blok'; did you mean 'block'?"),
        (
            ("-k", "random:ratio=0.999"),
            "--masking random:ratio=0.999: mask ratio = 0.999 leaves 0 of 64 patches visible",
        ),
        (("--patch", "7"), "--patch 7: does not divide images of 64 px; allowed: 1, 2, 4, 8, 16, 32"),
        (("--patch", "64"), "--patch 64: leaves one patch of 64 px; allowed: 1, 2, 4, 8, 16, 32"),
        (("-b", "convnet-small"), "backbone 'convnet-small' cuts no patches; name one with tokens, or give --patch N"),
        (("-b", "vit", "--patch", "8"), "--backbone and --patch both say what the patches are: give one of them"),
    ],
)
def test_mistakes_are_one_line_each(look, photos, tmp_path, arguments, expected):
    (tmp_path / "folder.png").mkdir()
    code, out, err = look("photos", *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_several_mistakes_are_said_at_once(look, photos):
    code, _, err = look("photos", "-a", "simclrr", "-k", "blok", "-b", "vitt")
    assert code == 2
    assert [line.split()[4] for line in err.splitlines()] == ["augmentation", "masking", "backbone"]


def test_an_empty_folder_and_one_that_is_not_there(look, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = look("empty")
    assert code == 2
    assert f"images: {tmp_path}/empty holds no image" in err
    code, _, err = look("./nowhere")
    assert code == 2
    assert "nowhere" in err
    code, _, err = look("nowhere")
    assert code == 2
    assert err.startswith("sslbench: error: DATA: unknown dataset 'nowhere'; known: ")
    assert err.endswith("(see: sslbench list dataset); no folder or file here has that name either\n")


def test_a_folder_of_damaged_images_names_them(look, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.png").write_bytes(b"no image")
    code, _, err = look("bad")
    assert code == 2
    assert err.splitlines() == [
        "sslbench: error: images: no image to train on can be read",
        "sslbench: error: a.png: not an image that Pillow can read",
    ]


def test_what_an_interrupt_leaves(monkeypatch, photos, tmp_path):
    import sslbench.look.look as module

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "plugin_pictures", interrupted)
    assert call(["look", "photos", "-o", "look.png"]) == 130
    assert sorted(os.listdir(tmp_path)) == ["photos"]


def test_parquet_files_have_facts_without_files(look, tmp_path, picture):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    def encoded(shift):
        buffer = io.BytesIO()
        Image.fromarray(np.roll(picture(16, 16), shift, axis=0)).save(buffer, "PNG")
        return {"bytes": buffer.getvalue()}

    images = [*map(encoded, range(8)), encoded(0), {"bytes": b"no image"}]
    pq.write_table(pa.table({"image": images, "label": [0, 1] * 5}), tmp_path / "rows.parquet")
    code, out, _ = look("rows.parquet", "-o", "rows.png")
    assert code == 0
    assert "files:" not in out
    assert "1 cannot be read" in out
    assert "not an image that Pillow can read" in out


def test_the_page_of_the_documentation_shows_what_is_printed(look):
    text = (Path(__file__).parents[2] / "docs/look.md").read_text()
    command, printed = re.search(
        r"^```text\n\$ sslbench look (.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ).groups()
    code, out, _ = look(*command.split())
    assert (code, out) == (0, printed)
