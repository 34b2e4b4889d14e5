"""Merging odd sets of folders: the order of folders changes nothing, and a second merge neither."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

from hypothesis import HealthCheck, given, settings, strategies as st

from sslbench.store.artifacts import pretraining_files
from sslbench.store.current import Asked, Asker
from sslbench.store.digests import write_json
from sslbench.store.merge.merge import merge
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.store.results import ResultsStore

CELLS = [f"c{number}" for number in range(4)]
STORED = st.builds(
    dict,
    cell=st.sampled_from(CELLS),
    status=st.sampled_from(["done", "done", "failed", "oom"]),
    hour=st.integers(0, 2),
    kind=st.just("run"),
    steps=st.booleans(),
    files=st.sampled_from(["none", "facts", "all"]),
)
ASKED = st.builds(dict, cell=st.sampled_from(CELLS), content=st.sampled_from("xy"), place=st.sampled_from("pq"))
FOLDERS = st.lists(st.lists(STORED | ASKED, min_size=1, max_size=6), min_size=2, max_size=4)
UNHEALTHY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def description(cell):
    return f"d{CELLS.index(cell) // 2}"  # of two cells each: other code, or other data


def do(store, folder, cell, content=None, place=None, **stored):
    """Store a record whose result depends on the cell alone, with some of its files; or ask for it."""
    if content:
        return store.ask([Asked(description(cell), content, cell)], Asker("quick", "quick", place))
    key, made = f"p{cell}", f"2026-01-01T0{stored['hour']}:00:00+00:00"
    record = Record(cell, stored["status"], "simclr", 0, kind=stored["kind"], provenance={"time": made})
    if stored["status"] == "done":
        record = Record.from_json({**record.to_json(), "metrics": {"m": MetricValue(float(cell[1])).to_json()}})
    record = Record.from_json({**record.to_json(), "pretraining": {"key": key}})
    store.put(record, suite="quick", description=description(cell), inputs={})
    if stored["steps"]:
        store.put_steps(key, [float(stored["hour"])])
    files = pretraining_files(folder, key)
    if stored["files"] != "none":
        files.write_facts(TrainingFacts(key=key, seconds=float(stored["hour"])))
    if stored["files"] == "all":
        write_json(files.weights, {"hour": stored["hour"]})
        write_json(files.per_image(cell), {"hour": stored["hour"]})
    return None


def state(folder):
    """All rows but their positions, and all files."""
    rows = []
    with closing(sqlite3.connect(folder / "results.sqlite")) as db:
        for table, first in (("record", 1), ("asked", 1), ("steps", 0)):
            rows += sorted(repr(row[first:]) for row in db.execute(f"SELECT * FROM {table}"))
    paths = (folder / "artifacts").rglob("*.*")
    return rows, {path.relative_to(folder): path.read_bytes() for path in paths}


@settings(max_examples=80, derandomize=True, database=None, deadline=None, suppress_health_check=UNHEALTHY)
@given(given_folders=FOLDERS, data=st.data())
def test_order_changes_nothing_and_a_second_merge_neither(tmp_path, given_folders, data):
    shutil.rmtree(tmp_path)
    folders = [tmp_path / f"f{number}" for number in range(len(given_folders))]
    for folder, steps in zip(folders, given_folders, strict=True):
        with ResultsStore.open_for_writing(folder) as store:
            for step in steps:
                do(store, folder, **step)
    merge(folders, tmp_path / "one")
    expected = state(tmp_path / "one")
    merge(data.draw(st.permutations(folders)), tmp_path / "one")
    assert state(tmp_path / "one") == expected
    merge(data.draw(st.permutations(folders)), tmp_path / "other")
    assert state(tmp_path / "other") == expected
    merge([tmp_path / "one"], tmp_path / "other")
    assert state(tmp_path / "other") == expected
