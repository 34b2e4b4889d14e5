"""Damage to what is stored is noticed wherever it strikes, and never changes a value in silence."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sslbench.errors import StoreError
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.results import ResultsStore

CELLS = tuple(f"c{number}" for number in range(8))


def stored(folder):
    """Every value that can be read from a store; raises StoreError or returns lines of damage as well."""
    with ResultsStore.open_for_reading(folder) as store:
        read = store.read()
        found = [store.find(f"what-{cell}") for cell in CELLS]
        return (read.records, store.suites(), found, store.steps("p0")), read.damaged


@pytest.fixture
def results(tmp_path, keep):
    """A store with records and the steps of a pretraining, and what can be read from it."""
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, *CELLS)
        store.put_steps("p0", [number / 7 for number in range(3000)])
    return tmp_path, stored(tmp_path)


@pytest.mark.parametrize("places", [20, 233])
def test_a_flipped_bit_in_the_results_is_named_or_changes_nothing(results, flipped, places):
    folder, (values, _) = results
    path = folder / "results.sqlite"
    named = 0
    for damaged in flipped(path, places):
        path.write_bytes(damaged)
        try:
            read, lines = stored(folder)
        except StoreError as error:
            read, lines = None, [str(error)]
        assert all(str(path) in line and len(line.splitlines()) == 1 for line in lines)
        assert lines or read == values
        named += bool(lines)
    assert named > places / 3


def test_zeroed_halves_of_the_results_are_named(results):
    folder, _ = results
    path = folder / "results.sqlite"
    content = path.read_bytes()
    half = len(content) // 2
    for damaged in (bytes(half) + content[half:], content[:half] + bytes(len(content) - half), content[:half]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"results\.sqlite: "):
            stored(folder)


@pytest.mark.parametrize("column", ["cell", "suite", "description", "inputs", "status", "text"])
def test_every_column_of_a_record_is_covered(results, column):
    folder, _ = results
    with closing(sqlite3.connect(folder / "results.sqlite")) as db, db:
        db.execute(f"UPDATE record SET {column} = {column} || ' ' WHERE cell = 'c1'")
    with ResultsStore.open_for_reading(folder) as store:
        assert [record.cell for record in store.records()] == [cell for cell in CELLS if cell != "c1"]
        (line,) = store.read().damaged
        assert line.endswith("damaged: it does not match its digest")
        assert all(status == "damaged" for cell, _, status in store.find("what-c1"))


def test_damaged_step_times_are_named(results):
    folder, _ = results
    with closing(sqlite3.connect(folder / "results.sqlite")) as db, db:
        db.execute("UPDATE steps SET ms = zeroblob(length(ms))")
    with (
        ResultsStore.open_for_reading(folder) as store,
        pytest.raises(DamagedRecord, match="results.sqlite: step times of pretraining p0: damaged"),
    ):
        store.steps("p0")


def test_records_of_schema_1_have_no_digest_and_get_one_when_they_are_made_again(old_store, record):
    with ResultsStore.open_for_reading(old_store) as store:
        before = store.read()
        assert not before.damaged
        first = before.records[0]
    with ResultsStore.open_for_writing(old_store) as store:
        assert store.read() == before
        store.put(first, suite="quick", description="d", inputs={})
    with closing(sqlite3.connect(old_store / "results.sqlite")) as db, db:
        known = dict(db.execute("SELECT cell, digest IS NOT NULL FROM record"))
        db.execute("UPDATE record SET status = 'failed'")
    assert [cell for cell, has_digest in known.items() if has_digest] == [first.cell]
    with ResultsStore.open_for_reading(old_store) as store:
        assert len(store.read().damaged) == 1
