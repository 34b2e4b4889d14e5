"""The page of results: all that is in it, and nothing that is not text stays so."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
from html.parser import HTMLParser

import pytest

from sslbench.errors import UserError
from sslbench.report.charts.drawing import javascript
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Table, number_in
from sslbench.report.html.page import SECTIONS, html, page_of, write_report
from sslbench.report.text import Column
from sslbench.store.results import ResultsStore


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
def folder(tmp_path_factory, write_results, page_records):
    path = tmp_path_factory.mktemp("results")
    write_results(path, page_records())
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


def test_nothing_of_others_is_markup(tmp_path, write_results, page_records):
    name = "</script><img src=x onerror=alert(1)>"
    methods = (name, "mae")
    write_results(tmp_path, page_records(methods, 1, dataset=name, params={"method": {"note": name}}), command=name)
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


def test_records_without_room_are_printed_by_a_command_that_a_shell_can_read(tmp_path, write_results, page_records):
    folder = tmp_path / "my results"
    write_results(folder, page_records())
    text = html(page_of([Folder.read(folder, share=0.0)]))
    assert f"sslbench results &#39;{folder}&#39; --format json" in text


def test_filters_are_the_axes_that_differ(text):
    selects = {a["id"]: a for a in Tags(text).of("select")}
    assert list(selects) == ["only-method", "pick"]
    assert re.findall(r"<option>([^<]+)</option>", text)[:3] == ["simclr", "mae", "random-init"]


def test_failures_skips_and_damage_are_named(tmp_path, record, write_results, page_records):
    bad = [record("byol", 0, metrics={}, status="failed", reason="RuntimeError: it broke")]
    bad.append(record("mae", 0, "linear-probe", {}, status="skipped", reason="mae needs tokens"))
    write_results(tmp_path, [*page_records(seeds=1), *bad])
    with ResultsStore.open_for_writing(tmp_path) as store:
        store._db.execute("UPDATE record SET text = '{' WHERE position = 1")
    folder = Folder.read(tmp_path)
    text = html(page_of([folder]))
    assert "byol, seed 0: failed: RuntimeError: it broke" in text
    assert "1 cell: mae needs tokens" in text
    assert len(folder.damaged) == 1
    assert "it is left out" in text


def test_no_results_are_said_in_words(tmp_path, write_results):
    write_results(tmp_path, [])
    assert "There are no results." in text_of(tmp_path)


def test_several_folders_are_chapters(tmp_path, write_results, page_records):
    for name in ("a", "b"):
        write_results(tmp_path / name, page_records(("simclr", "mae"), 1))
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
    with pytest.raises(UserError, match=rf"{re.escape(str(folder))} is given twice"):
        write_report([folder, folder], folder / "page.html")


def test_a_folder_in_two_spellings_is_refused(folder, tmp_path):
    other = tmp_path / "link"
    other.symlink_to(folder)
    with pytest.raises(UserError, match=rf"{re.escape(str(other))} is given twice"):
        write_report([folder, other], folder / "page.html")


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
