"""``sslbench merge``: what was run in several folders, in one."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from sslbench.cli.main import call
from sslbench.cli.merge import fates_of
from sslbench.store.merge.merge import Part

ASKED = ("quick", "-m", "raw-pixels", "-m", "random-init", "-b", "convnet-small", "-e", "knn")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def words_of(capsys):
    """Exit code, stdout and stderr of a command."""

    def run(*arguments):
        code = call([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def two_folders(words_of):
    for seed in (0, 1):
        assert words_of("run", *ASKED, "--seeds", seed, "--out", f"s{seed}")[0] == 0


@pytest.mark.usefixtures("two_folders")
def test_seeds_of_two_folders_are_one_table_and_nothing_is_run_again(words_of):
    code, out, err = words_of("merge", "s0", "s1", "-o", "all")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[2:4]] == [["s0", "2", "2"], ["s1", "2", "2"]]
    assert out.splitlines()[-1] == "all: 4 records, 24 files copied"
    document = json.loads(words_of("results", "all", "--format", "json")[1])
    assert sorted((record["method"], record["seed"]) for record in document["records"]) == [
        ("random-init", 0),
        ("random-init", 1),
        ("raw-pixels", 0),
        ("raw-pixels", 1),
    ]
    assert "unfinished" not in document
    code, out, err = words_of("run", *ASKED, "--seeds", "0,1", "--out", "all", "--format", "json")
    in_order = [sorted(records, key=str) for records in (json.loads(out)["records"], document["records"])]
    assert (code, in_order[0]) == (0, in_order[1])
    assert "4 done; 0 run now; results: all" in err
    assert words_of("compare", "s0", "all")[0] == 0
    assert "raw-pixels" in words_of("results", "all", "--pairs")[1]


def test_why_a_record_is_not_kept_is_said_of_those_that_were_skipped_too():
    part = Part(Path("a"), 3, Counter(kept=1, equal=1, retried=1), None)
    assert fates_of(part) == "1 with a result that is kept, 1 without a result (another try is kept)"


@pytest.mark.usefixtures("two_folders")
def test_what_is_missing_is_run_in_the_merged_folder(words_of):
    assert words_of("run", *ASKED, "-e", "retrieval", "--seeds", 1, "--max-cells", 1, "--out", "s1")[0] == 0
    assert words_of("merge", "s0", "s1", "-o", "all")[0] == 0
    out = " ".join(words_of("results", "all")[1].split())
    assert "unfinished: 3 of 4 cells have results; 1 is not run yet, this goes on: sslbench run quick" in out
    command = out.partition("this goes on: sslbench ")[2].partition("--out all")[0].split()
    code, _, err = words_of(*command, "--out", "all")
    assert (code, "1 run now" in err) == (0, True)
    assert "unfinished" not in words_of("results", "all")[1]


@pytest.mark.usefixtures("two_folders")
def test_other_results_of_one_cell_end_with_1_and_nothing_written(words_of, tmp_path):
    from dataclasses import replace

    from sslbench.store.record import MetricValue
    from sslbench.store.results import ResultsStore

    words_of("merge", "s0", "-o", "other", "--no-artifacts")
    with ResultsStore.open_for_writing(tmp_path / "other") as store:
        (record, _) = store.read().records
        with closing(sqlite3.connect("s0/results.sqlite")) as db:
            row = "SELECT description, inputs FROM record WHERE cell = ?"
            description, inputs = db.execute(row, (record.cell,)).fetchone()
        changed = replace(record, metrics={"knn_top1": MetricValue(0.25)})
        store.put(changed, suite="quick", description=description, inputs=json.loads(inputs))
    code, out, err = words_of("merge", "s0", "other", "-o", "all")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert "raw-pixels digits knn seed 0: knn_top1 is" in lines[0]
    assert "in s0, 0.25 in other" in lines[0]
    assert "--prefer first, last or newest" in lines[-1]
    assert not (tmp_path / "all").exists()
    code, out, _ = words_of("merge", "s0", "other", "-o", "all", "--prefer", "last")
    assert code == 0
    assert "with another result (--prefer)" in out


@pytest.mark.usefixtures("two_folders")
def test_damage_is_named_on_stderr_and_counted(words_of, tmp_path):
    (features,) = list((tmp_path / "s0").rglob("features.safetensors"))[:1]
    features.write_bytes(features.read_bytes()[:-1])
    code, out, err = words_of("merge", "s0", "s1", "-o", "all")
    assert code == 0
    assert (
        f"warning: {features.relative_to(tmp_path)}: damaged: its bytes do not match its digest; it is left out" in err
    )
    assert "1 damaged" in out


def test_mistakes_are_one_line_each(words_of, tmp_path):
    code, out, err = words_of("merge", "none", "none", "-o", "all")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "none: is given twice" in err
    assert words_of("merge", "none", "-o", "all")[2].count("\n") == 1
    assert "Missing argument" in words_of("merge", "-o", "all")[2]
    assert "Missing option '-o'" in words_of("merge", "a")[2]
    assert "did you mean 'merge'" in words_of("merg", "a")[2]
    assert not (tmp_path / "all").exists()


def test_a_folder_that_is_still_written_to_is_named(words_of, tmp_path):
    from sslbench.store.results import ResultsStore

    words_of("run", *ASKED, "--out", "a")
    with ResultsStore.open_for_writing(tmp_path / "a"):
        code, out, err = words_of("merge", "a", "-o", "all")
    assert code == 0
    assert "warning: a: still written to by pid" in err
    assert "merge again when that has ended" in err
    assert "2 records" in out
