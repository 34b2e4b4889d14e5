"""Recipes and surveys on a page: the verdict first, as it was kept."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sslbench.advise.chapter import chapter
from sslbench.advise.folder import LabelledFolder
from sslbench.advise.kept import read_recipe, read_survey, recipe_document, survey_document
from sslbench.advise.recipe import Recipe
from sslbench.advise.rows import OverDraws, Row
from sslbench.advise.survey import ImageNeighbours, OutlierImage, SimilarPair, Survey, SurveyedModel
from sslbench.advise.verdict import Advice, Against, Evidence
from sslbench.errors import UserError
from sslbench.report.charts.drawing import javascript
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Drawing, Table
from sslbench.report.html.page import html, page_of, write_report
from sslbench.results.chapters import KINDS
from sslbench.statistics.intervals import Difference
from sslbench.statistics.shares import Share
from sslbench.store.digests import write_json
from sslbench.store.found import Found, keep
from sslbench.store.json_parts import DamagedRecord

MODEL = Row("dino <vit>", "model", 0.9, 0.95, {5: OverDraws(0.8, 0.02)}, 384, 120.0, 0.94, licence="Apache-2.0",
            share=Share(0.95, 0.9, 0.98, 100))  # fmt: skip
PIXELS = Row("raw-pixels", "baseline", 0.5, 0.6, dim=3072, share=Share(0.6, 0.5, 0.7, 100), tie=False, corrected=0.001)
RECIPE = Recipe(
    LabelledFolder(Path("/data/photos"), None, ("cat", "dog"), 400, 100, 200, True, ("2 files left out: no image",)),
    (PIXELS, MODEL),
    1,
    Evidence(
        "dino <vit>",
        MODEL.share,
        200,
        {5: 0.8},
        baselines=[Against("the pixels", 0.6, Difference(0.35, 0.2, 0.5, 0.001, 100), "McNemar's test")],
    ),
    Advice("stop", "Stop here: the linear probe gets 95.0%.", ("The pixels get 60.0%; the model is ahead.",)),
    ("sslbench", "predict", "out/head", "NEW IMAGES"),
    "",
    Path("out/head"),
)
SURVEY = Survey(
    Path("loose"), 30, (), "", (SurveyedModel("random-init", 128, 900.0, {"spread": 0.3, "rankme": None}),),
    "random-init", 0.85, (("a.png", "b.png"),), (SimilarPair("c.png", "d.png", 0.97),),
    (OutlierImage("e<.png", 0.6, 4.6),), (ImageNeighbours("a.png", (("b.png", 1.0),)),),
)  # fmt: skip


def as_kept(document):
    return json.loads(json.dumps(document))


def folder_of(path, kind, document):
    keep(path, Found(kind, "", f"sslbench recipe {kind}", as_kept(document), {"time": "2026-01-01", "python": "3.12"}))
    return Folder.read(path)


def cells_of(found, section):
    [table] = [part for s in found.sections if s.id == section for part in s.parts if isinstance(part, Table)]
    return [[cell.text for cell in row] for row in table.rows]


def text_of(folder):
    return html(page_of([folder], KINDS)).replace(javascript(), "")


def test_what_is_kept_is_read_as_it_was():
    assert read_recipe(as_kept(recipe_document(RECIPE)), "here") == RECIPE
    assert read_survey(as_kept(survey_document(SURVEY)), "here") == SURVEY


def test_the_verdict_comes_first_and_then_what_next(tmp_path):
    text = text_of(folder_of(tmp_path, "recipe", recipe_document(RECIPE)))
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert titles == ["What next", "What speaks for it", "Models", "Before you believe a figure", "How it was made"]
    assert text.index("Stop here: the linear probe gets 95.0%.") < text.index("<nav")
    assert "sslbench predict out/head &#39;NEW IMAGES&#39;" in text
    assert "The pixels get 60.0%; the model is ahead." in text
    assert "sslbench recipe recipe" in text
    assert "dino <vit>" not in text


def test_a_folder_that_was_given_as_a_point_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path / "birds")
    here = replace(RECIPE, folder=replace(RECIPE.folder, root=Path(), labels=Path("labels.csv")))
    document = recipe_document(here)
    assert document["folder"]["labels"] == str(tmp_path / "birds" / "labels.csv")
    monkeypatch.chdir(tmp_path)
    found = chapter(folder_of(tmp_path, "recipe", document))
    assert found.title == "birds: what to do"


def test_models_are_ranked_with_their_intervals(tmp_path):
    found = chapter(folder_of(tmp_path, "recipe", recipe_document(RECIPE)))
    assert cells_of(found, "models") == [
        ["*dino <vit>", "90.0", "95.0", "90.0-98.0", "80.0±2.0", "384", "120"],
        ["raw-pixels", "50.0", "60.0", "50.0-70.0", "-", "3072", "-"],
    ]
    [drawing] = [part for s in found.sections for part in s.parts if isinstance(part, Drawing)]
    assert "dino <vit> 95.0 (chosen); raw-pixels 60.0 (told apart)" in drawing.description


def test_a_survey_counts_duplicates_and_names_outliers(tmp_path):
    folder = folder_of(tmp_path, "survey", survey_document(SURVEY))
    found = chapter(folder)
    assert found.lead == [
        "30 images without labels: 1 group of equal files, 1 pair of near duplicates.",
        "Most unlike all others: e<.png, +4.6 deviations from the median image.",
    ]
    assert cells_of(found, "outliers") == [["e<.png", "0.600", "+4.6"]]
    assert cells_of(found, "neighbours") == [["a.png", "b.png", "1.000"]]
    text = text_of(folder)
    assert "a.png = b.png" in text
    assert "e<.png" not in text


@pytest.mark.parametrize("key", ["advice", "models", "folder", "chosen"])
def test_a_document_of_another_shape_says_where(key, tmp_path):
    document = {**as_kept(recipe_document(RECIPE)), key: "nonsense"}
    with pytest.raises(DamagedRecord, match=rf"^file: {key}: damaged: "):
        read_recipe(document, "file")
    folder = folder_of(tmp_path, "recipe", document)
    assert f"{tmp_path}/found/recipe.json: {key}: damaged" in text_of(folder)


def test_damaged_and_foreign_files_are_named(tmp_path, capsys):
    from sslbench.cli.main import call

    folder_of(tmp_path, "recipe", recipe_document(RECIPE))
    path = tmp_path / "found" / "recipe.json"
    path.write_text(path.read_text().replace("95.0%", "99.0%"))
    (tmp_path / "found" / "mine.json").write_text("{}")
    write_json(tmp_path / "found" / "other.json", {"a": 1})
    assert call(["report", str(tmp_path)]) == 0
    errors = capsys.readouterr().err
    assert "recipe.json: damaged: its bytes do not match its digest; it is left out" in errors
    assert "mine.json: damaged or of an older sslbench: it has no digest" in errors
    assert "other.json: damaged: kind is missing" in errors
    assert "99.0%" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_folder_of_nothing_is_refused(tmp_path):
    (tmp_path / "found").mkdir()
    with pytest.raises(UserError, match="holds no results"):
        write_report([tmp_path], tmp_path / "page.html", KINDS)
