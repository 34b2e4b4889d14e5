"""``sslbench results`` on folders that were not run by these tests."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sslbench.cli.main import call
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

SCHEMA_1 = Path(__file__).parents[1] / "store" / "schema_1.sql"


@pytest.fixture
def old_folder(tmp_path):
    """Results as the code of schema 1 left them."""
    db = sqlite3.connect(tmp_path / "results.sqlite")
    db.executescript(SCHEMA_1.read_text(encoding="utf-8"))
    db.close()
    return tmp_path


def output(capsys, *arguments):
    code = call(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return code, out, err


def test_results_of_schema_1_are_shown(old_folder, capsys):
    code, out, err = output(capsys, "results", old_folder, "--where", "dataset=digits", "--format", "csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["method"], row["masking"], row["status"]) for row in rows] == [
        ("simclr", "", "1 done"),
        ("mae", "random", "1 done"),
        ("simclr", "", "1 failed"),
        ("simclr", "", "1 diverged"),
    ]
    assert (rows[0]["knn_top1_mean"], rows[0]["few_label_top1@13_draws_n"]) == ("0.8", "10")
    code, out, err = output(capsys, "results", old_folder, "--where", "dataset=digits")
    assert (code, err) == (0, "")
    assert "diverged: the loss was nan within epoch 1, before step 2" in out
    assert "failed: the features are not finite" in out


@pytest.mark.parametrize("section", ["statistics", "pairs", "correlations", "curves", "published"])
def test_sections_of_schema_1_are_shown(old_folder, capsys, section):
    code, out, err = output(capsys, "results", old_folder, f"--{section}", "--where", "dataset=digits")
    assert (code, err) == (0, "")
    assert out
    if section == "curves":
        assert "*0.800" in out


def test_json_is_schema_2_and_can_be_compared_with_the_folder(old_folder, capsys):
    code, out, _ = output(capsys, "results", old_folder, "--format", "json")
    document = json.loads(out)
    assert (code, document["schema"], document["suite"]) == (0, 2, "quick, mae-speedup")
    records = [Record.from_json(data) for data in document["records"]]
    with ResultsStore.open_for_reading(old_folder) as store:
        assert records == store.records()
    (old_folder / "x.json").write_text(out)
    code, out, err = output(capsys, "compare", old_folder, old_folder / "x.json", "--format", "json")
    assert (code, err) == (0, "")
    changes = json.loads(out)["changes"]
    assert {change["verdict"] for change in changes} == {"tie"}
    assert {"knn_top1", "few_label_top1@13", "speed_up/method=simclr", "step_ms_median"} <= {
        change["quantity"] for change in changes
    }


def test_a_file_of_schema_1_is_compared(old_folder, capsys):
    db = sqlite3.connect(old_folder / "results.sqlite")
    records = [json.loads(text) for (text,) in db.execute("SELECT text FROM record ORDER BY position")]
    db.close()
    assert not any("schema" in record for record in records)
    (old_folder / "old.json").write_text(json.dumps({"schema": 1, "suite": "quick", "records": records}))
    code, out, err = output(capsys, "compare", old_folder / "old.json", old_folder, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["only"] == []


def test_results_of_schema_1_are_never_taken_for_done(old_folder, capsys):
    arguments = ("-m", "simclr", "-b", "convnet-small", "-e", "knn", "--epochs", "2", "--set", "train_images=256")
    code, out, _ = output(capsys, "plan", *arguments, "--out", old_folder, "--format", "json")
    assert code == 0
    assert {cell["status"] for cell in json.loads(out)["cells"]} <= {"to run", "stale"}


def test_a_damaged_record_is_one_line_and_the_others_are_shown(old_folder, capsys):
    db = sqlite3.connect(old_folder / "results.sqlite")
    db.execute("UPDATE record SET text = substr(text, 1, 100) WHERE position = 1")
    db.execute('UPDATE record SET text = replace(text, \'"seed":0\', \'"seed":"zero"\') WHERE position = 3')
    db.execute("UPDATE record SET text = '{\"schema\": 3}' WHERE position = 4")
    db.commit()
    db.close()
    for arguments in ((), ("--statistics",), ("--format", "json")):
        code, out, err = output(capsys, "results", old_folder, "--where", "dataset=digits", *arguments)
        first, second, third = err.splitlines()
        where = f"sslbench: warning: {old_folder}/results.sqlite: record of cell"
        assert first.startswith(f"{where} c22f31bf2e1efd82: not JSON: Unterminated string")
        assert second == f"{where} 93369ce98f4330ef: damaged: seed is 'zero'; allowed: a whole number; it is left out"
        assert third == f"{where} b26c3e1fdd359cc9: has schema 3; this version reads 1 and 2; it is left out"
        assert code == 0
        assert "simclr" in out
        assert "mae" not in out.replace("mae-speedup", "")


def test_results_of_one_seed_import_nothing_slow(old_folder):
    code = (
        "import sys; from sslbench.cli.main import call;"
        f"call(['results', {str(old_folder)!r}, '--where', 'dataset=digits']);"
        "print([name for name in ('torch', 'pydantic', 'scipy', 'pandas', 'numpy', 'pluggy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
