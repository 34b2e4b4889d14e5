"""What was asked for and is not there is counted, and a run that could do nothing is no success."""

from __future__ import annotations

import json
import shlex
import sqlite3
from contextlib import closing

import pytest

from sslbench.cli.main import call

ASKED = ("quick", "-m", "raw-pixels", "-m", "random-init", "-b", "convnet-small", "-e", "knn", "-e", "retrieval")
COMMAND = (
    "sslbench run quick --method raw-pixels --method random-init --evaluator knn --evaluator retrieval"
    " --backbone convnet-small --out r"
)
LINE = f"unfinished: 1 of 4 cells have results; 3 are not run yet, this goes on: {COMMAND}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def words_of(capsys, *arguments):
    """Exit code, stdout and stderr, each in one line."""
    code = call([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, " ".join(out.split()), " ".join(err.split())


def test_a_folder_that_is_half_done_says_how_much_is_there_and_what_goes_on(capsys):
    assert LINE in words_of(capsys, "run", *ASKED, "--out", "r", "--max-cells", 1)[1]
    assert LINE in words_of(capsys, "results", "r")[1]
    assert "**unfinished** - 1 of 4 cells have results" in words_of(capsys, "results", "r", "--format", "markdown")[1]
    for option in (("--format", "csv"), ("--statistics",)):
        _, out, err = words_of(capsys, "results", "r", *option)
        assert LINE.removeprefix("unfinished: ") in err
        assert "not run yet" not in out
    assert call(shlex.split(COMMAND)[1:]) == 0
    assert "unfinished" not in capsys.readouterr()[0]
    assert "unfinished" not in words_of(capsys, "results", "r")[1]


def test_json_has_the_numbers_of_cells(capsys):
    for command in (("run", *ASKED, "--out", "r", "--max-cells", "1"), ("results", "r")):
        call([*command, "--format", "json"])
        document = json.loads(capsys.readouterr()[0])
        assert document["unfinished"] == [{"suite": "quick", "command": COMMAND, "cells": 4, "missing": 3}]
    call(["run", *ASKED, "--out", "r", "--format", "json"])
    assert "unfinished" not in json.loads(capsys.readouterr()[0])


def test_nothing_is_there_yet(capsys):
    code, out, _ = words_of(capsys, "run", *ASKED, "--out", "r", "--max-cells", 0)
    assert code == 0
    assert "0 of 4 cells have results; 4 are not run yet" in out
    assert "0 of 4 cells have results; 4 are not run yet" in words_of(capsys, "results", "r")[1]


def test_a_smaller_run_that_is_complete_hides_no_larger_one_that_is_not(capsys):
    call(["run", *ASKED, "--out", "r", "--max-cells", "1"])
    call(["run", "quick", "-m", "raw-pixels", "-e", "knn", "--seeds", "5", "--out", "r"])
    capsys.readouterr()
    assert LINE in words_of(capsys, "results", "r")[1]


def test_a_command_goes_on_with_every_option_that_shapes_the_cells(capsys):
    options = ("--seeds", "0,3", "--epochs", "2", "--set", "train_images=50", "--device", "cpu", "--keep-stale")
    mine = (
        "-m",
        "raw-pixels",
        "-d",
        "shapes:train_images=40",
        "-e",
        "knn:k=3",
        *options,
        "--out",
        "my results",
    )
    _, out, _ = words_of(capsys, "run", *mine, "--max-cells", 0, "--format", "json")
    (unfinished,) = json.loads(out)["unfinished"]
    assert unfinished["command"] == (
        "sslbench run quick --method raw-pixels --evaluator knn:k=3 --dataset shapes:train_images=40"
        " --seeds 0,3 --set epochs=2 --set device=cpu --set train_images=50 --out 'my results' --keep-stale"
    )
    assert call([*shlex.split(unfinished["command"])[1:], "--format", "json"]) == 0
    document = json.loads(capsys.readouterr()[0])
    assert len(document["records"]) == unfinished["cells"] == 2
    assert "unfinished" not in document


def test_a_folder_of_an_older_version_is_read_and_written(capsys):
    call(["run", *ASKED, "--out", "r", "--max-cells", "1"])
    with closing(sqlite3.connect("r/results.sqlite")) as db:
        columns = "position INTEGER PRIMARY KEY AUTOINCREMENT, description, content, place, cell, suite, source"
        names = columns.replace(" INTEGER PRIMARY KEY AUTOINCREMENT", "")
        db.executescript(
            f"CREATE TABLE older ({columns}); INSERT INTO older SELECT {names} FROM asked;"
            " DROP TABLE asked; ALTER TABLE older RENAME TO asked;"
        )
    capsys.readouterr()
    words = "1 of 4 cells have results; 3 are not run yet, suite quick goes on when it is run again"
    assert words in words_of(capsys, "results", "r")[1]
    assert words_of(capsys, "run", *ASKED, "--out", "r")[0] == 0
    assert "unfinished" not in words_of(capsys, "results", "r")[1]


@pytest.mark.parametrize("format_", ["table", "markdown", "csv", "json"])
def test_a_run_whose_cells_are_all_skipped_is_no_success(capsys, format_):
    code, out, err = words_of(capsys, "run", "-m", "mae", "-b", "convnet-small", "-k", "random", "--format", format_)
    assert code == 2
    assert "nothing could be run: 3 skipped" in err
    assert "3 cells: mae needs a backbone with tokens; convnet-small has none" in err
    assert (out == "") is (format_ != "json")
    if format_ == "json":
        assert [record["status"] for record in json.loads(out)["records"]] == ["skipped"] * 3


def test_a_run_with_something_to_do_may_skip_the_rest(capsys):
    code, out, _ = words_of(capsys, "run", "-m", "mae", "-m", "raw-pixels", "-b", "convnet-small", "-e", "knn")
    assert code == 0
    assert "mae needs a backbone with tokens" in out
