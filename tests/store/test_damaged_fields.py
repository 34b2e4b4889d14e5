"""Every field of a record with what does not belong there: a line that names it, or a table, never a traceback."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from sslbench.cli.main import call
from sslbench.report.compare.comparison import compare
from sslbench.report.compare.sides import Side
from sslbench.report.compare.table import render_comparison
from sslbench.report.tables import render
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore, StoredRecords
from sslbench.store.texts import RecordReader


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


WRONG = {
    "null": None,
    "true": True,
    "negative": -1,
    "huge": 10**400,
    "half": 1.5,
    "largest": 1e308,
    "nan": float("nan"),
    "infinity": float("inf"),
    "text": "x",
    "surrogate": "\ud800",
    "escape": "a\nb\x1b[2J",
    "list": [1],
    "object": {"x": {"y": [1]}},
    "deep": nested(20),
    "deeper": nested(500),
}


@pytest.fixture
def full(record):
    """With every part that tables read."""
    metric = {"value": 0.5, "std": 0.1, "n": 5, "evaluator": "knn"}
    training = {"key": "p0", "seconds": 1.0, "losses": [1.0, 0.5], "final_loss": 0.5, "batch_size": 32}
    training |= {"curve": [{"epoch": 1, "loss": 4.0, "metrics": {"knn_top1": metric}}], "images_skipped": 1}
    return record(
        masking="random",
        mask_ratio=0.75,
        reason="x",
        headline="knn_top1",
        params={"method": {"lr": 0.1}, "evaluator": {"k": 20}, "training": {"epochs": 2, "batch_size": 32}},
        pretraining=training,
        data={"train_images": 80, "test_images": 20, "classes": 2, "sides": [8, 8], "fingerprint": "f0"},
        provenance={"time": "2026-01-01", "distributions": {"sslbench": "0.1.0"}, "processor": "X"},
        inputs={"code": {"the harness": "sslbench 0.1.0+0a"}, "data": "f0"},
    )


def places(value, path=()):
    """The path to every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    items = dict(value) if isinstance(value, dict) else list(value)
    items[path[0]] = replaced(value[path[0]], path[1:], new)
    return items


def as_stored(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_in_any_field_is_named_or_shown(full, record, name):
    data, good, reader = full.to_json(), record("good", seed=1), RecordReader()
    named = []
    for path in places(data):
        text = as_stored(replaced(data, path, WRONG[name]))
        stored = StoredRecords.of([text], lambda item: reader.read(item, "results.sqlite: record of cell c0"))
        named += stored.damaged
        if stored.damaged:
            continue
        (read,) = stored.records
        for fmt in ("table", "csv", "json"):
            assert "knn_top1" in render([read, good], fmt, "s")
        assert render_comparison(compare(Side("a", [read, good]), Side("b", [full, good])), "json")
    assert named
    assert all(line.startswith("results.sqlite: record of cell c0: ") for line in named)
    assert all(len(line.splitlines()) == 1 for line in named)


@pytest.mark.parametrize("field", [name for name in Record.__dataclass_fields__ if name != "extra"])
def test_what_is_read_in_parts_is_what_is_read_whole(full, field):
    """Also where a name of a shared part stands in an object inside, or a part is missing."""
    data = full.to_json()
    variants = [data, {**data, field: None}, {name: value for name, value in data.items() if name != field}]
    for name in ("params", "provenance", "data"):
        variants.append({**data, "metrics": {name: data["metrics"]["knn_top1"]}})
        variants.append({**data, "params": {**data["params"], "method": {name: {"time": "x"}, "pretraining": {}}}})
        variants.append({**data, "provenance": {"distributions": {name: "1", "time": "2"}, "time": "2026-01-02"}})
    reader = RecordReader()
    for variant in variants:
        text = as_stored(variant)
        whole = StoredRecords.of([text], lambda item: Record.from_json(json.loads(item), "here"))
        assert StoredRecords.of([text], lambda item: reader.read(item, "here")) == whole


def test_what_many_records_share_is_one_object(full):
    reader = RecordReader()
    first, second = (reader.read(as_stored(full.to_json() | {"cell": cell, "seed": 1}), "x") for cell in "ab")
    for field in ("params", "inputs", "data", "pretraining"):
        assert getattr(first, field) is getattr(second, field)
    assert dict(first.provenance) == full.provenance == first.to_json()["provenance"]


BROKEN = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "other": lambda text: "[]",
    "zeros": lambda text: "\0" * len(text),
    "newer": lambda text: text.replace('"schema":2', '"schema":3'),
    "status": lambda text: text.replace('"status":"done"', '"status":"doing"'),
    "deep": lambda text: "[" * 100_000,
    "digits": lambda text: text.replace('"seed":0', f'"seed":{"9" * 5000}'),
    "binary": lambda text: b"\xff\xfe" + text.encode(),
    "number": lambda text: 5,
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("digested", [True, False])
def test_a_broken_text_is_one_line_and_hides_no_other(tmp_path, keep, capsys, how, digested):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0", "c1", "c2")
        text = store.raw("c1")
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as db, db:
        db.execute("UPDATE record SET text = ? WHERE cell = 'c1'", (BROKEN[how](text),))
        if not digested:
            db.execute("UPDATE record SET digest = NULL")
    assert call(["results", str(tmp_path), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert [record["cell"] for record in json.loads(out)["records"]] == ["c0", "c2"]
    (line,) = err.splitlines()
    assert line.startswith(f"sslbench: warning: {tmp_path}/results.sqlite: record of cell c1: ")
    assert call(["compare", str(tmp_path), str(tmp_path)]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE record DROP COLUMN text",
        "ALTER TABLE record DROP COLUMN inputs",
        "DROP TABLE record",
        "ALTER TABLE record RENAME COLUMN cell TO key",
        "ALTER TABLE asked DROP COLUMN cell",
        "ALTER TABLE asked DROP COLUMN source",
    ],
)
def test_missing_tables_and_columns_are_one_line(tmp_path, keep, capsys, statement):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0")
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as db, db:
        db.execute(statement)
    assert call(["results", str(tmp_path)]) != 0
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"sslbench: error: {tmp_path}/results.sqlite: cannot read the results: ")


def test_a_page_of_noise_is_one_line(tmp_path, keep, capsys):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, *(f"c{number}" for number in range(40)))
    path = tmp_path / "results.sqlite"
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        damaged = bytearray(content)
        damaged[page * 4096 : page * 4096 + 4096] = bytes(range(256)) * 16
        path.write_bytes(damaged)
        code = call(["results", str(tmp_path)])
        err = capsys.readouterr().err
        assert (code != 0, len(err.splitlines())) == (True, 1), page
        assert str(path) in err
