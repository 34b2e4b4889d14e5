from __future__ import annotations

import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "images")


def build(**given):
    return SPEC.build(SPEC.params(**given), BuildContext())


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("a.png", "b/c.jpg", "b/d/e.PNG", "f.bmp", "g.png")):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10 + number, 8), (number, 0, 0)).save(path)
    (tmp_path / "root/notes.txt").write_text("")
    return tmp_path / "root"


def test_every_image_at_any_depth_without_labels(folder):
    data = build(root=str(folder), size=16)
    train, test = data.split("train"), data.split("test")
    names = {str(path).removeprefix(f"{folder}/") for path in [*train.paths, *test.paths]}
    assert names == {"a.png", "b/c.jpg", "b/d/e.PNG", "f.bmp", "g.png"}
    assert (len(train), len(test), train.labels, tuple(data.classes)) == (4, 1, None, ())
    assert train.images.shape == (4, 3, 16, 16)
    assert problems(SPEC, root=str(folder)) == []


def test_all_in_one_split_and_files_by_name_in_their_order(folder):
    data = build(root=str(folder), test_share=0.0)
    assert (len(data.split("train")), len(data.split("test"))) == (5, 0)
    files = [str(folder / "g.png"), str(folder / "a.png")]
    named = build(files=files, test_share=0.0)
    assert named.split("train").paths == files
    assert named.split("train").images[:, 0, 0, 0].tolist() == [4, 0]


def test_the_fingerprint_changes_with_the_files(folder):
    params = SPEC.params(root=str(folder))
    before = SPEC.fingerprint(params)
    assert SPEC.fingerprint(params) == before
    (folder / "a.png").write_bytes(b"other")
    assert SPEC.fingerprint(params) != before


def test_images_that_cannot_be_read_are_counted_where_asked(folder):
    (folder / "h.png").write_bytes(b"")
    with pytest.raises(UserError, match="1 of 5 images cannot be read; on_error=skip leaves them out"):
        build(root=str(folder))
    data = build(root=str(folder), on_error="skip", test_share=0.0)
    assert (len(data.split("train")), data.split("train").left_out["cannot be read"]) == (5, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "images: give root=FOLDER"),
        ({"root": "{f}/none"}, "root=.*none does not exist"),
        ({"root": "{f}/a.png"}, "a.png is a file, not a folder"),
        ({"files": ("{f}/none.png",)}, "none.png does not exist"),
        ({"root": "{f}/empty"}, "empty holds no image .endings: "),
    ],
)
def test_what_holds_no_image_is_an_error(folder, given, words):
    (folder / "empty").mkdir()
    filled = {
        key: value.format(f=folder) if isinstance(value, str) else tuple(one.format(f=folder) for one in value)
        for key, value in given.items()
    }
    with pytest.raises(UserError, match=words):
        build(**filled)


@pytest.mark.parametrize("way", ["resident", "mapped", "streaming"])
@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp"])
def test_frames_after_the_first_are_not_read_and_counted(built, picture, tmp_path, monkeypatch, way, ending):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    first, *others = (Image.new("L", (8, 8), grey) for grey in (40, 200, 90))
    for number in range(2):
        (tmp_path / "root").mkdir(exist_ok=True)
        first.save(tmp_path / f"root/{number}.{ending}", save_all=True, append_images=others)
    picture(tmp_path / "root/still.png", 40)
    for _ in range(2):  # the second time from the cache
        split = built("images", root=tmp_path / "root", size=8, test_share=0.0, reading=way).split("train")
        assert split.left_out == {"frames after the first of their images": 4}
        assert (split.images[torch.arange(3)].float() - 40).abs().max() <= 1
