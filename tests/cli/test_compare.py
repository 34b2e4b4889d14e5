"""``sslbench compare`` on folders of two runs that took no training."""

from __future__ import annotations

import json
import sqlite3

import pytest

from sslbench.cli.main import call
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.store.results import ResultsStore


def make_folder(path, *values):
    """One recipe over as many seeds as there are values of ``knn_top1``."""
    with ResultsStore.open_for_writing(path) as store:
        for seed, value in enumerate(values):
            record = Record(
                cell=f"{value}-{seed}",
                status="done",
                method="simclr",
                seed=seed,
                evaluator="knn",
                dataset="digits",
                metrics={"knn_top1": MetricValue(value)},
                pretraining=TrainingFacts(key=f"p{seed}"),
            )
            store.put(record, suite="quick", description="d", inputs={})
    return str(path)


@pytest.fixture
def pair(tmp_path):
    return make_folder(tmp_path / "a", 0.90, 0.91, 0.92), make_folder(tmp_path / "b", 0.80, 0.81, 0.82)


def test_it_says_what_moved_and_exits_0(pair, capsys):
    assert call(["compare", *pair]) == 0
    out, err = capsys.readouterr()
    assert "1 is worse in B" in out
    assert err == ""


def test_a_crossed_limit_is_exit_code_1_and_a_line_on_stderr(pair, capsys):
    assert call(["compare", *pair, "--fail-on", "knn_top1:5%", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["exceeded"]
    assert err.startswith("sslbench: worse than allowed: simclr: knn_top1 0.91 -> 0.81, 11.0% worse")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("limits", [["knn_top1:12%"], ["knn_top1:12%", "images_per_second:5%"]])
def test_a_limit_that_holds_is_exit_code_0_unless_nothing_could_be_compared(pair, capsys, limits):
    arguments = [word for limit in limits for word in ("--fail-on", limit)]
    assert call(["compare", *pair, *arguments]) == len(limits) - 1
    err = capsys.readouterr().err
    assert err.count("\n") == len(limits) - 1
    assert "knn_top1" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fail-on", "knn_top:1%"), "--fail-on 'knn_top:1%': unknown quantity 'knn_top'; did you mean 'knn_top1'?"),
        (("--fail-on", "knn_top1"), "--fail-on 'knn_top1' is not QUANTITY:PERCENT"),
        (("--across", "metod"), "--across 'metod': no axis or parameter of these results; did you mean 'method'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(pair, capsys, arguments, words):
    assert call(["compare", *pair, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_folder_that_is_not_there(pair, capsys, tmp_path):
    assert call(["compare", pair[0], str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_a_damaged_record_is_named_and_the_others_are_compared(pair, capsys, tmp_path):
    db = sqlite3.connect(tmp_path / "b" / "results.sqlite")
    db.execute("UPDATE record SET text = '{' WHERE cell = '0.81-1'")
    db.commit()
    db.close()
    assert call(["compare", *pair]) == 0
    out, err = capsys.readouterr()
    assert "2 seeds" in out
    assert err.startswith(f"sslbench: warning: {tmp_path}/b/results.sqlite: record of cell 0.81-1: not JSON: ")
    assert err.endswith("; it is left out\n")
    assert len(err.splitlines()) == 1
