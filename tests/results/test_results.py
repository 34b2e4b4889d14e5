"""What runs left, as data frames, text and HTML."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import sslbench
from sslbench import UserError
from sslbench.report.aggregate import aggregate
from sslbench.report.sections.pairs import pairs
from sslbench.report.tables import render
from sslbench.report.view import View
from sslbench.store.record import Record


def test_a_folder_is_loaded_as_what_was_returned(results):
    loaded = sslbench.load(str(results.folder))
    assert isinstance(loaded, sslbench.Results)
    assert {record.cell for record in loaded.records} == {record.cell for record in results.records}
    assert loaded.table().equals(results.table())
    assert loaded.notes == ()


def test_the_table_has_a_row_a_recipe_the_best_first(results):
    table = results.table()
    assert table["recipe"].tolist()[0] == table.sort_values("knn_top1_mean", ascending=False)["recipe"].iloc[0]
    assert sorted(table["method"]) == ["raw-pixels", "simclr", "simclr"]
    assert table.index.tolist() == [0, 1, 2]
    assert table["knn_top1_n"].tolist() == [2, 2, 2]
    assert set(table["method.temperature"].dropna()) == {0.2, 0.5}


def test_the_best_has_with_it_what_is_not_told_apart(results):
    best, column = results.best(), View(aggregate(results.records), results.folder)
    first = best.iloc[0]
    assert (first["verdict"], best.index[0]) == ("best", 0)
    assert first["value"] == results.table()["knn_top1_mean"].max()
    compared = {column.order.index(one.other): one for one in column.ranking.compared(column.aggregate.metrics[0])}
    for number, line in best.iloc[1:].iterrows():
        assert line["verdict"] == "tie"
        assert line["p"] == compared[number].corrected >= 0.05
    assert set(best.index) == {0, *(number for number, one in compared.items() if one.tie)}
    with pytest.raises(UserError, match=r"^metric 'knn'; did you mean 'knn_top1'\? \(allowed: knn_top1\)$"):
        results.best("knn")


def test_pairs_are_those_of_the_command(results):
    frame, section = results.pairs(), pairs(View(aggregate(results.records), results.folder))
    assert frame["verdict"].tolist() == [row["verdict"] for row in section.rows]
    assert frame["p"].tolist() == pytest.approx([row["p"] for row in section.rows], nan_ok=True)
    assert frame.attrs["notes"] == section.notes


def test_curves_have_every_epoch_of_every_training(results):
    curves = results.curves()
    assert len(curves) == 2 * 2 * 2
    assert set(curves["epoch"]) == {1, 2}
    simclr = next(r for r in results.records if r.method == "simclr")
    own = curves[(curves["seed"] == simclr.seed) & (curves["loss"] == simclr.pretraining.losses[0])]
    assert own["knn_top1"].item() == simclr.pretraining.curve[0].metrics["knn_top1"].value


def test_without_curves_and_rivals_the_frames_are_empty_but_have_columns():
    record = Record("c", "done", "raw-pixels", 0, dataset="digits", evaluator="knn", params={"training": {}})
    lone = sslbench.Results([record])
    assert (len(lone.curves()), len(lone.pairs())) == (0, 0)
    assert {"loss", "epoch"} <= set(lone.curves())
    assert {"best", "other", "p_corrected"} <= set(lone.pairs())
    assert "fewer than two recipes" not in lone.pairs().attrs["notes"]
    with pytest.raises(UserError, match="^no metric that ranks rows was measured$"):
        lone.best()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (3, r"^row 3: there is no such row \(rows: 0 to 2, as in table\(\)\)$"),
        (-1, r"^row -1: there is no such row"),
        (True, r"^row True: expected the number of a row"),
        (1.5, r"^row 1\.5: expected the number of a row of table\(\), or words of its recipe$"),
        ("simclr", r"^row 'simclr': 2 rows have these words: simclr \(temperature=0\.\d\), simclr \(temperature="),
        ("simcrl", r"^row 'simcrl': no row has these words; did you mean 'simclr'\? \(rows: .*raw-pixels"),
        ("", r"^row '': 3 rows have these words"),
    ],
)
def test_a_row_that_is_not_there_is_named_with_those_that_are(results, row, words):
    with pytest.raises(UserError, match=words):
        results.features(row)


def test_a_row_is_meant_by_its_number_or_by_words_that_no_other_has(results):
    table = results.table()
    pixels = int(table.index[table["method"] == "raw-pixels"][0])
    by_number, by_words = results.features(pixels), results.features("raw-pixels")
    assert by_number.features.equal(by_words.features)
    for name in table["recipe"]:
        results.features(name)
    results.features("simclr (temperature=0.2)", "test", seed=1)


def test_text_is_that_of_the_command(results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert repr(results).startswith(render(results.records, "table", "quick", results.folder).partition("\n")[0])
    assert "--" not in re.sub("-{3,}", "", repr(results).replace("  ", ""))
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, repr(results).splitlines())) <= 60
    noted = sslbench.Results(results.records, results.folder, "quick", ["1 of 2 cells have results"])
    assert "notes:\n  1 of 2 cells have results" in repr(noted)


def test_html_marks_the_best_and_escapes_names(results):
    html = results._repr_html_()
    table = results.table()
    assert len(re.findall("<tr>", html)) == 1 + len(table) + 1  # the header and a constant answer
    assert f"<b>{table['knn_top1_mean'].max():.3f}" in html
    assert "<li>bold: best of its column" in html
    record = Record(
        "c", "failed", "<script>", 0, "<b>no</b>", dataset="digits", evaluator="knn", params={"training": {}}
    )
    text = sslbench.Results([record], notes=["a < b"])._repr_html_()
    assert "<script>" not in text
    assert "failed: &lt;b&gt;no&lt;/b&gt;" in text
    assert "a &lt; b" in text


def test_html_of_many_rows_says_how_many_are_left_out():
    records = [
        Record(str(number), "done", f"m{number}", 0, dataset="digits", evaluator="knn", params={"training": {}})
        for number in range(120)
    ]
    html = sslbench.Results(records)._repr_html_()
    assert html.count("<tr>") == 101
    assert "20 more rows: see table()" in html


def test_a_damaged_folder_says_what_is_left_out(results, tmp_path):
    folder = shutil.copytree(results.folder, tmp_path / "damaged")
    with sqlite3.connect(folder / "results.sqlite") as db:
        db.execute("UPDATE record SET text = replace(text, 'knn', 'kmm') WHERE position = 1")
    db.close()
    with pytest.warns(UserWarning, match=r"record of cell \w+: damaged: .*; it is left out$"):
        loaded = sslbench.load(folder)
    assert len(loaded.records) == len(results.records) - 1
    assert "left out" in repr(loaded)


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "no such folder"), ("empty", "holds no results .*it is empty")]
)
def test_a_folder_without_results_says_what_is_there(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=words):
        sslbench.load(tmp_path / name)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (None, "^folder = None: expected a path, as text or pathlib.Path$"),
        (3, "^folder = 3: expected a path"),
        ("", "^folder = '': expected a path"),
        ("~nobody-of-this-name", "^folder = '~nobody-of-this-name': no home folder is known for it"),
    ],
)
def test_what_is_no_path_is_named(results, folder, words):
    with pytest.raises(UserError, match=words):
        sslbench.load(folder)
    if folder is not None:
        with pytest.raises(UserError, match=words.replace("folder", "path", 1)):
            results.report(folder)


def test_no_error_of_ours_shows_a_traceback_in_a_notebook():
    assert UserError("a: wrong", "b: wrong")._render_traceback_() == ["UserError: a: wrong", "UserError: b: wrong"]


def test_the_door_is_light():
    code = "import sys, sslbench; sslbench.run, sslbench.load, sslbench.Results; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "altair", "IPython"} & set(done.stdout.split())


def test_cells_that_went_wrong_are_warned_of(small, tmp_path, monkeypatch):
    monkeypatch.setattr("sslbench_plugins.evaluators.knn.Knn.evaluate", lambda self, data: 1 / 0)
    with pytest.warns(UserWarning, match="^1 cell failed: the results say why$"):
        made = sslbench.run(**{**small, "data": "digits", "methods": "raw-pixels"}, out=tmp_path)
    assert "division by zero" in repr(made)
    assert "division by zero" in made._repr_html_()


def test_the_answer_is_a_text(results):
    assert results.answer().endswith(".")
    assert results.answer().split(" ")[0] in results._repr_html_()


def timed_record():
    speed = {"device": "cpu", "median_ms": 188.15, "images_per_second": 21.26, "batch_size": 4, "precision": "fp32"}
    params = {"method": {}, "backbone": {}}
    return Record("c", "done", "mae", 0, backbone="vit", params=params, kind="speed", speed=speed)


def test_rows_of_a_speed_suite_are_a_table_of_their_own():
    timed = sslbench.Results([timed_record()], Path("steps"), "steps")
    assert timed.table()["median_ms"].tolist() == [188.15]
    assert "188" in repr(timed)
    assert timed._repr_html_().startswith("<pre>")
    assert timed.answer() == "1 row of a speed suite: table() has them; no recipe is ranked."
    for ask in (timed.best, timed.pairs, timed.curves, timed.plot, timed.encoder, timed.features, timed.pictures):
        with pytest.raises(UserError, match="^these are rows of a speed suite, which ranks no recipes: table"):
            ask()


def test_rows_of_a_speed_suite_beside_recipes_are_counted(results):
    both = sslbench.Results([*results.records, timed_record()], results.folder)
    words = "1 row of a speed suite left out of these tables: records and report() have them"
    assert both.notes == (words,)
    assert words in both._repr_html_()
    assert words in " ".join(repr(both).split())
    assert both.table().equals(results.table())


def test_nothing_that_is_shown_names_an_option_of_the_command_line(results, monkeypatch):
    """Options in results themselves, such as the reason of a record, are none of ours to answer for in a shell."""
    monkeypatch.setenv("COLUMNS", "60")
    reason = "its weights are not on this machine; --download fetches them"
    failed = replace(results.records[0], cell="f", status="failed", reason=reason, evaluator="few-label", metrics={})
    made = sslbench.Results([*results.records, failed], results.folder, "quick", ["left out; --fresh makes it again"])
    shown = [repr(made), made._repr_html_(), made.answer(), *made.notes, *made.pairs().attrs["notes"]]
    for text in shown:
        assert not re.search(r"(?<![\w-])--[a-z]", text)
    assert 'seeds="0-4"' in " ".join(repr(made).split())
    assert "download=True fetches them" in " ".join(repr(made).split())
    assert "fresh=True makes it again" in made._repr_html_()


def test_text_is_laid_out_for_no_less_than_40_columns(results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    narrow = repr(results)
    monkeypatch.setenv("COLUMNS", "3")
    assert repr(results) == narrow
