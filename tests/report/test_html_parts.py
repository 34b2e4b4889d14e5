"""Parts of the page: pictures, maps of features, and what moved between two folders."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sslbench.report.charts.panel import GREY
from sslbench.report.html.folder import Folder, names_of
from sslbench.report.html.page import html, page_of, write_report
from sslbench.report.html.sections.between import between
from sslbench.report.html.sections.pictures import MOST_BYTES, pictures
from sslbench.store.artifacts import pretraining_files
from sslbench.store.pictures import PicturePoint, StoredPicture, write_pictures


def test_pictures_are_those_of_the_first_seed_each_once_and_damage_is_named(tmp_path, write_results, page_records):
    records = page_records(("simclr", "mae"), 2)
    write_results(tmp_path, records)
    shared = StoredPicture("views", "Views of some images.", b"png of views")
    for number, one in enumerate(records):
        own = StoredPicture("mistakes", f"Mistakes {number} <b>", f"png {number}".encode())
        files = pretraining_files(tmp_path, one.pretraining.key)
        write_pictures(files, one.cell, [own])
        write_pictures(files, "pretraining", [shared])
    damaged = pretraining_files(tmp_path, records[2].pretraining.key).pictures(records[2].cell) / "mistakes.png"
    damaged.write_bytes(b"other")
    section = pictures(Folder.read(tmp_path))
    galleries = [part for part in section.parts if part.kind == "gallery"]
    assert [image.caption for part in galleries for image in part.pictures] == [
        "Mistakes 0 <b>",
        "Views of some images.",
    ]
    notes = section.parts[-1].lines
    assert notes[0].startswith("those of the first seed of each recipe")
    assert "mistakes.png: damaged" in notes[1]
    text = html(page_of([Folder.read(tmp_path)]))
    assert 'alt="Mistakes 0 &lt;b&gt;"' in text


def test_pictures_without_room_are_counted(tmp_path, write_results, page_records):
    records = page_records(("simclr", "mae"), 1)
    write_results(tmp_path, records)
    for number, one in enumerate(records):
        picture = StoredPicture("large", "A large picture.", bytes([number]) * (MOST_BYTES // 2))
        write_pictures(pretraining_files(tmp_path, one.pretraining.key), one.cell, [picture])
    section = pictures(Folder.read(tmp_path))
    assert section.parts[-1].lines == ["1 picture left out: the page would be larger than 10 MB"]
    assert [len(part.pictures) for part in section.parts if part.kind == "gallery"] == [1]


def test_a_map_of_features_is_a_chart_with_thumbnails(tmp_path, write_results, page_records):
    (first, *_) = records = page_records(("simclr",), 1)
    write_results(tmp_path, records)
    points = tuple(PicturePoint(n, n, f"class {n}", bytes([n])) for n in range(16))
    picture = StoredPicture("map", "Features in two dimensions.", b"png", points)
    write_pictures(pretraining_files(tmp_path, first.pretraining.key), first.cell, [picture])
    drawing = pictures(Folder.read(tmp_path)).parts[0]
    (rows,) = drawing.spec["datasets"].values()
    assert rows[3]["image"] == "data:image/png;base64,Aw=="
    assert [row["class"] for row in rows][11:] == ["class 11", "class 12", *["other classes"] * 3]
    colours = drawing.spec["encoding"]["color"]["scale"]["range"]
    assert len(set(colours)) == 14
    assert colours[-1] == GREY
    assert "16 images of class 0, class 1" in drawing.description


def test_a_difference_between_folders_is_drawn_and_in_a_table(tmp_path, write_results, page_records):
    for name, methods in (("a", ("simclr", "mae")), ("b", ("mae", "simclr"))):
        write_results(tmp_path / name, page_records(methods))
    section = between(*(Folder.read(tmp_path / name) for name in ("a", "b")))
    table = next(part for part in section.parts if part.kind == "table")
    verdicts = dict(zip(table.columns[1].cells, table.columns[-1].cells, strict=True))
    assert section.title == "b against a"
    assert set(verdicts.values()) <= {"better", "worse", "tie", "unsure"}
    drawing = next(part for part in section.parts if part.kind == "drawing" and part.title.startswith("knn_top1"))
    (rows,) = drawing.spec["datasets"].values()
    changes = {row["recipe"].partition(" ")[0]: row["change"] for row in rows}
    assert changes["simclr"] < 0 < changes["mae"]
    assert section.intro.startswith("A is a, B is b. Of ")


def test_what_a_comparison_leaves_out_is_where_its_note_says(tmp_path, write_results, page_records, monkeypatch):
    monkeypatch.setattr("sslbench.report.html.sections.between.MOST_LINES", 3)
    for name in ("a", "b"):
        write_results(tmp_path / name, page_records())
    section = between(*(Folder.read(tmp_path / name) for name in ("a", "b")))
    table = next(part for part in section.parts if part.kind == "table")
    (note,) = table.notes
    assert re.fullmatch(r"the first 3 of \d+ rows; sslbench compare A B prints all", note)


def test_folders_of_one_name_are_told_apart(tmp_path, write_results, page_records):
    for name in ("old", "new"):
        write_results(tmp_path / name / "quick", page_records())
    folders = [tmp_path / name / "quick" for name in ("old", "new")]
    assert [folder.name for folder in write_report(folders, tmp_path / "both.html")] == ["old/quick", "new/quick"]
    text = (tmp_path / "both.html").read_text()
    assert "new/quick against old/quick" in text
    assert "A is old/quick, B is new/quick." in text
    assert names_of([Path("/a/x"), Path("/b/y")]) == ["x", "y"]


def test_pictures_are_of_a_seed_that_was_measured(tmp_path, write_results, page_records):
    failed, done = page_records(("simclr",), 2)
    write_results(tmp_path, [replace(failed, status="failed", reason="no room"), done])
    for one in (failed, done):
        picture = StoredPicture("views", f"Views of seed {one.seed}.", str(one.seed).encode())
        write_pictures(pretraining_files(tmp_path, one.pretraining.key), one.cell, [picture])
    section = pictures(Folder.read(tmp_path))
    captions = [image.caption for part in section.parts if part.kind == "gallery" for image in part.pictures]
    assert captions == ["Views of seed 1."]
