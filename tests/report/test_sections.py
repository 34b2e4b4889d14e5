from __future__ import annotations

import csv
import io
import json

import pytest

from sslbench.errors import UserError
from sslbench.report.screen import WIDTH
from sslbench.report.sections.render import SECTIONS, render_sections


@pytest.fixture
def records(default_suite):
    return default_suite((0, 1, 2, 3))


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_every_format(records, tmp_path, name):
    texts = {fmt: render_sections(records, [name], fmt, "s", tmp_path) for fmt in ("table", "markdown", "csv", "json")}
    assert not any(text.endswith("\n") for text in texts.values())
    document = json.loads(texts["json"], parse_constant=pytest.fail)
    assert list(document) == ["schema", "suite", name]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert len(rows) == len(document[name])
    assert all(set(row) == set(document[name][0]) for row in document[name])
    if rows:
        assert texts["markdown"].count("\n| ") == len(rows) + 2
        assert list(rows[0]) == list(document[name][0])


def test_tables_fit_a_terminal(records, tmp_path):
    text = render_sections(records, list(SECTIONS), "table", "s", tmp_path)
    assert max(map(len, text.split("\n"))) <= WIDTH


def test_several_sections_are_one_document_and_no_csv(records, tmp_path):
    document = json.loads(render_sections(records, ["statistics", "pairs"], "json", "s", tmp_path))
    assert list(document) == ["schema", "suite", "statistics", "pairs"]
    text = render_sections(records, ["statistics", "pairs"], "table", "s", tmp_path)
    assert text.index("statistics over seeds") < text.index("pairs: each recipe")
    with pytest.raises(UserError, match=r"--format csv holds one table; given: --statistics, --pairs"):
        render_sections(records, ["statistics", "pairs"], "csv", "s", tmp_path)


@pytest.mark.parametrize("name", SECTIONS)
def test_without_records_every_section_says_so(tmp_path, name):
    assert render_sections([], [name], "table", "s", tmp_path)
    assert json.loads(render_sections([], [name], "json", "s", tmp_path))[name] == []
    assert render_sections([], [name], "csv", "s", tmp_path) == ""


def test_a_cell_of_csv_is_text(record, tmp_path):
    text = render_sections([record()], ["published"], "csv", "s", tmp_path)
    row = list(csv.DictReader(io.StringIO(text)))[-1]
    assert (row["origin"], row["differs"]) == ("published", "not measured here")
    knn = render_sections([record("dino", params={"evaluator": {"k": 5}})], ["published"], "csv", "s", tmp_path)
    rows = [row for row in csv.DictReader(io.StringIO(knn)) if row["evaluator"] == "knn"]
    assert [row["evaluator_params"] for row in rows] == ["k=5", "k=20, temperature=0.07"]
    assert rows[-1]["differs"].startswith("data set, network")
