"""The page of results: all that is in it, and nothing that is not text stays so."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sslbench.errors import UserError
from sslbench.report.charts.drawing import javascript
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Table, number_in
from sslbench.report.html.page import SECTIONS, html, page_of, write_report
from sslbench.report.html.sections.between import between
from sslbench.report.html.sections.pictures import MOST_BYTES, pictures
from sslbench.report.text import Column
from sslbench.store.artifacts import pretraining_files
from sslbench.store.current import Asked, Asker
from sslbench.store.pictures import PicturePoint, StoredPicture, write_pictures
from sslbench.store.record import DataFacts
from sslbench.store.results import ResultsStore

SPEED = {"images_per_second": 1234.0, "peak_memory_bytes": 500_000_000, "seconds": 12.0, "losses": [2.0, 1.0]}
FACTS = DataFacts(80, 20, evaluated_on="all", classes=2, majority_class="ok", majority_share=0.6, image_size=64)


def write(folder, records, command="sslbench run quick"):
    with ResultsStore.open_for_writing(folder) as store:
        for record in records:
            store.put(record, suite="quick", description=record.cell, inputs={})
        asked = [Asked(record.cell, "", record.cell) for record in records]
        store.ask(asked, Asker("quick", "quick", command=command))


def records_of(record, methods=("simclr", "mae", "random-init"), seeds=3, **facts):
    best = {name: 0.95 - 0.1 * place for place, name in enumerate(methods)}
    return [
        replace(
            record(
                name,
                seed,
                metrics={"knn_top1": best[name] + 0.01 * seed * (1 + best[name])},
                pretraining=SPEED,
                **facts,
            ),
            data=FACTS,
        )
        for name in methods
        for seed in range(seeds)
    ]


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.all = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))

    def of(self, name):
        return [attributes for tag, attributes in self.all if tag == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("results")
    write(path, records_of(record))
    return path


def text_of(*folders):
    """The page without the code of vega-embed, a megabyte."""
    return html(page_of([Folder.read(folder) for folder in folders])).replace(javascript(), "")


@pytest.fixture(scope="module")
def text(folder):
    return text_of(folder)


def test_the_page_answers_first_and_has_every_section(text):
    start = text.index("simclr is the best of 3 methods")
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert start < text.index("<nav") < text.index("<h2")
    assert titles == [
        "Results",
        "Quality against cost",
        "Every recipe under every metric",
        "Seeds",
        "Differences from the best",
        "Loss and metrics while training",
        "Before you believe a figure",
        "Data",
        "Settings",
        "Provenance",
        "Records",
    ]
    assert "sslbench run quick" in text


def test_the_table_has_each_recipe_with_quality_and_speed(text):
    rows = re.findall(r"<tr data-recipe=\"(\S+)\" data-method.*?</tr>", text[: text.index("Quality against cost</h2>")])
    assert rows == ["simclr", "mae", "random-init"]
    assert re.search(r'<td class="number best">\*0.970 ± 0.020</td>', text)
    assert "1234" in text
    assert "majority" in text


def test_every_chart_is_there_without_scripts_and_has_words(text):
    charts = [attributes for attributes in Tags(text).of("div") if attributes.get("class") == "chart"]
    assert len(charts) == text.count("<svg") == 9
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 40 for attributes in charts)
    specs = json.loads(re.search(r'id="specs">(.*?)</script>', text, re.DOTALL)[1])
    assert sorted(specs) == sorted(attributes["id"] for attributes in charts)


def test_nothing_of_others_is_markup(tmp_path, record):
    name = "</script><img src=x onerror=alert(1)>"
    methods = (name, "mae")
    write(tmp_path, records_of(record, methods, 1, dataset=name, params={"method": {"note": name}}), command=name)
    text = text_of(tmp_path)
    tags = Tags(text)
    assert not tags.of("img")
    assert not [a for _, a in tags.all if "onerror" in a]
    assert text.count("</script>") == 3
    assert "&lt;img src=x" in text


def test_the_page_asks_nobody_for_anything(text):
    policy = next(a["content"] for a in Tags(text).of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "http" not in policy
    for _, attributes in Tags(text).all:
        for name in ("src", "href", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "ast: true" in text


def test_addresses_are_unique_and_labels_have_their_fields(text):
    tags = Tags(text)
    ids = [attributes["id"] for _, attributes in tags.all if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes["for"] in ids for attributes in tags.of("label"))
    links = [attributes["href"][1:] for attributes in tags.of("a") if attributes["href"].startswith("#")]
    assert set(links) <= set(ids)
    assert len(links) == 12


def test_headings_go_down_one_at_a_time_and_tables_have_captions_and_scopes(text):
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert text.count("<table") == text.count("<caption")
    assert all(attributes.get("scope") in ("col", "row") for attributes in Tags(text).of("th"))


def test_the_same_records_give_the_same_bytes(folder, text):
    assert text_of(folder) == text
    assert len(text + javascript()) < 1_200_000


def test_the_records_are_in_the_page(folder, text):
    (link,) = (attributes for attributes in Tags(text).of("a") if "download" in attributes)
    packed = base64.b64decode(link["href"].partition("base64,")[2])
    document = json.loads(gzip.decompress(packed))
    assert document["schema"] == 2
    assert len(document["records"]) == 9
    assert document["records"] == [record.to_json() for record in Folder.read(folder).records]


def test_filters_are_the_axes_that_differ(text):
    selects = {a["id"]: a for a in Tags(text).of("select")}
    assert list(selects) == ["only-method", "pick"]
    assert re.findall(r"<option>([^<]+)</option>", text)[:3] == ["simclr", "mae", "random-init"]


def test_failures_skips_and_damage_are_named(tmp_path, record):
    bad = [record("byol", 0, metrics={}, status="failed", reason="RuntimeError: it broke")]
    bad.append(record("mae", 0, "linear-probe", {}, status="skipped", reason="mae needs tokens"))
    write(tmp_path, [*records_of(record, seeds=1), *bad])
    with ResultsStore.open_for_writing(tmp_path) as store:
        store._db.execute("UPDATE record SET text = '{' WHERE position = 1")
    folder = Folder.read(tmp_path)
    text = html(page_of([folder]))
    assert "byol, seed 0: failed: RuntimeError: it broke" in text
    assert "1 cell: mae needs tokens" in text
    assert len(folder.damaged) == 1
    assert "it is left out" in text


def test_no_results_are_said_in_words(tmp_path):
    write(tmp_path, [])
    assert "There are no results." in text_of(tmp_path)


def test_several_folders_are_chapters(tmp_path, record):
    for name in ("a", "b"):
        write(tmp_path / name, records_of(record, ("simclr", "mae"), 1))
    path = tmp_path / "both.html"
    write_report([tmp_path / "a", tmp_path / "b"], path)
    text = path.read_text(encoding="utf-8").replace(javascript(), "")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {"c", "r1", "r2", "c1-changes"} <= set(ids)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("page.txt", r"-o .*page\.txt: a report is an HTML file: its name ends in \.html"),
        ("nowhere/page.html", r"-o .*page\.html: there is no folder .*nowhere"),
        ("folder.html", r"-o .*folder\.html: is a folder; name a file in it, such as .*folder\.html/report\.html"),
    ],
)
def test_a_target_that_is_no_page_is_refused(tmp_path, folder, target, message):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=message):
        write_report([folder], tmp_path / target)


def test_a_folder_that_is_given_twice_is_refused(folder):
    with pytest.raises(UserError, match=r"results0 is given twice"):
        write_report([folder, folder], folder / "page.html")


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no results"):
        write_report([tmp_path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("*0.981 ± 0.01", 0.981),
        ("=.5", 0.5),
        ("1.65M", 1.65e6),
        ("123k", 123e3),
        ("-0.2 to +0.1", -0.2),
        ("1,200", 1200.0),
    ],
)
def test_a_cell_is_sorted_by_its_number(cell, number):
    assert number_in(cell) == pytest.approx(number)


def test_rows_are_sorted_by_numbers_and_words_with_what_is_empty_last():
    table = Table("t", [Column("method", ["b", "-", "a"]), Column("n", ["9", "-", "*10"], number=True)])
    assert table.orders == ["2 0 1", "2 0 1"]
    assert table.sortable


def test_there_are_as_many_sections_as_functions_that_make_them():
    assert len(SECTIONS) == len(set(SECTIONS)) == 13


def test_pictures_are_those_of_the_first_seed_each_once_and_damage_is_named(tmp_path, record):
    records = records_of(record, ("simclr", "mae"), 2)
    write(tmp_path, records)
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
    text = text_of(tmp_path)
    assert 'alt="Mistakes 0 &lt;b&gt;"' in text


def test_pictures_without_room_are_counted(tmp_path, record):
    records = records_of(record, ("simclr", "mae"), 1)
    write(tmp_path, records)
    for number, one in enumerate(records):
        picture = StoredPicture("large", "A large picture.", bytes([number]) * (MOST_BYTES // 2))
        write_pictures(pretraining_files(tmp_path, one.pretraining.key), one.cell, [picture])
    section = pictures(Folder.read(tmp_path))
    assert section.parts[-1].lines == ["1 picture left out: the page would be larger than 10 MB"]
    assert [len(part.pictures) for part in section.parts if part.kind == "gallery"] == [1]


def test_a_map_of_features_is_a_chart_with_thumbnails(tmp_path, record):
    (first, *_) = records = records_of(record, ("simclr",), 1)
    write(tmp_path, records)
    points = tuple(PicturePoint(n, n, f"class {n}", bytes([n])) for n in range(12))
    picture = StoredPicture("map", "Features in two dimensions.", b"png", points)
    write_pictures(pretraining_files(tmp_path, first.pretraining.key), first.cell, [picture])
    drawing = pictures(Folder.read(tmp_path)).parts[0]
    (rows,) = drawing.spec["datasets"].values()
    assert rows[3]["image"] == "data:image/png;base64,Aw=="
    assert [row["class"] for row in rows][7:] == ["class 7", "class 8", *["other classes"] * 3]
    assert "12 images of class 0, class 1" in drawing.description


def test_a_difference_between_folders_is_drawn_and_in_a_table(tmp_path, record):
    for name, methods in (("a", ("simclr", "mae")), ("b", ("mae", "simclr"))):
        write(tmp_path / name, records_of(record, methods))
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
