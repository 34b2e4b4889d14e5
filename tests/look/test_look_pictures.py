"""What the pictures of ``look`` show and how they are put together, and what it says of a data set in words."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest
from PIL import Image

from sslbench.draw.words import drawable, width_of, with_names
from sslbench.errors import UserError
from sslbench.hooks.registry import default_registry
from sslbench.look.equal import EqualImages
from sslbench.look.files import OddFile
from sslbench.look.look import look as look_at, names
from sslbench.look.pictures import rarest
from sslbench.look.sheet import lines_within, writable
from sslbench.look.text import group_lines
from sslbench.look.wanted import LookRequest
from sslbench.look.written import check_file


def test_odd_files_are_shown_beside_what_is_read_of_them(odd):
    found = look_at(LookRequest(str(odd)), default_registry())
    (shown,) = [picture for picture in found.pictures if picture.name == "odd-files"]
    assert shown.caption.startswith("8 of 8 odd files, each beside the image that is read of it")
    # Three rows of three pairs, the last of two.
    assert shown.image.shape[-1] > 6 * 120


def test_an_odd_file_is_shown_for_its_rarest_kind_and_once():
    many = [OddFile(f"{number}.png", "train", number, ("wide",)) for number in range(5)]
    both = OddFile("both.png", "train", 5, ("wide", "deep grey"))
    assert rarest([*many, both]) == [(both, "deep grey"), (many[0], "wide"), (many[1], "wide")]


def test_two_plugins_of_one_name_have_pictures_of_two_names():
    choices = [("", SimpleNamespace(name=name)) for name in ("moco-v2", "simclr", "moco-v2", "simclr")]
    assert names("views", choices) == ["views-moco-v2", "views-simclr", "views-moco-v2-2", "views-simclr-2"]
    for one, other in (("dino-2", "dino"), ("dino", "dino-2")):
        choices = [("", SimpleNamespace(name=name)) for name in (one, other, "dino")]
        assert sorted(set(names("masks", choices))) == sorted(names("masks", choices))
        assert names("masks", choices)[:2] == [f"masks-{one}", f"masks-{other}"]


def test_a_sheet_breaks_words_that_are_wider_than_it_and_says_where_names_are():
    lines = lines_within(f"imagefolder:root=/{'long' * 60}: 3 images", 480)
    assert all(width_of(line) <= 480 for line in lines)
    assert "".join("".join(lines).split()) == f"imagefolder:root=/{'long' * 60}:3images"
    assert writable("Seen.") == "Seen."
    assert "?" not in drawable(writable(with_names("Seen.", ["猫"], [0])))


def test_the_overview_says_how_many_classes_it_shows(tmp_path, picture):
    for number in range(30):
        (tmp_path / f"many/{number}").mkdir(parents=True)
        for image in range(3):
            Image.fromarray(picture(8, 8 + 2 * number + image)).save(tmp_path / f"many/{number}/{image}.png")
    found = look_at(LookRequest(f"{tmp_path}/many:size=8", patch=2), default_registry())
    assert found.pictures[0].caption == "24 of 60 training images as they are read, 8 x 8 px, of 24 of 30 classes."


def test_of_many_contradictory_classes_the_first_are_named():
    paths = tuple(f"/data/{number}.png" for number in range(40))
    (line,) = group_lines([EqualImages(paths, tuple(f"{n:02d}" for n in range(40)), 40)], "/data")
    assert line == ("40 images (of 00, 01, 02, 03, 04 and 35 more): 0.png, 1.png, 2.png, 3.png, 4.png and 35 more")


def test_the_same_seed_draws_the_same(photos):
    first, again, other = (look_at(LookRequest(str(photos), seed=seed), default_registry()) for seed in (0, 0, 1))
    for one, same in zip(first.pictures, again.pictures, strict=True):
        assert bool((one.image == same.image).all())
    assert first.pictures[1].image.shape == other.pictures[1].image.shape
    assert not bool((first.pictures[1].image == other.pictures[1].image).all())


def test_a_place_that_takes_no_file_is_said_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(
        UserError, match=f"^-o .*/new/a.png: cannot be written: {re.escape(str(tmp_path))} takes no new"
    ):
        check_file(tmp_path / "new/a.png")
    monkeypatch.undo()
    check_file(tmp_path / "new/a.png")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file/a.png: cannot be written: Not a directory"):
        check_file(tmp_path / "file/a.png")


def test_one_class_is_said_to_have_nothing_to_tell_apart(look, photos, tmp_path):
    words = "there is one class to train on: no accuracy can be measured (images:root=FOLDER needs no labels)"
    assert words not in look("photos")[1]
    shutil.rmtree(photos / "собака")
    assert words in look("photos")[1].splitlines()
