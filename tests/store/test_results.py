from __future__ import annotations

import math
import sqlite3
import struct
from dataclasses import replace

import numpy as np
import pytest

from sslbench.errors import StoreError, UserError
from sslbench.store.json_parts import DamagedRecord, canonical
from sslbench.store.memory import MemoryStore
from sslbench.store.record import MetricValue
from sslbench.store.results import ResultsStore


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    with ResultsStore.open_for_writing(tmp_path / "deep" / "out") as opened:
        yield opened


def put(store, record, suite="quick", description="d", inputs=None):
    store.put(record, suite=suite, description=description, inputs=inputs or {})


def test_a_record_comes_back_as_it_went_in_byte_for_byte(store, record):
    given = record()
    put(store, given)
    assert store.raw("c0") == canonical(given.to_json())
    assert store.record("c0") == given
    assert store.records() == [given]
    put(store, store.record("c0"))
    assert store.raw("c0") == canonical(given.to_json())


def test_a_finished_record_is_untouched_when_others_are_written_and_the_store_is_opened_again(tmp_path, record, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        put(store, record())
        before = store.raw("c0")
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c1", "c2")
    with ResultsStore.open_for_reading(tmp_path) as store:
        assert store.raw("c0") == before == canonical(record().to_json())
        assert [r.cell for r in store.records()] == ["c0", "c1", "c2"]


def test_a_number_that_is_not_finite_is_stored_as_null(store, record):
    put(store, replace(record(), metrics={"m": MetricValue(math.nan, std=math.inf)}))
    assert store.record("c0").metrics["m"] == MetricValue(None)
    assert "NaN" not in store.raw("c0")
    assert "Infinity" not in store.raw("c0")


def test_a_new_record_replaces_the_older_one_of_its_cell_and_keeps_its_place(store, record, keep):
    keep(store, "c0", "c1", "c2")
    put(store, record("c1", status="failed", reason="no room"), suite="other", description="new", inputs={"data": "x"})
    assert [(r.cell, r.status) for r in store.records()] == [("c0", "done"), ("c1", "failed"), ("c2", "done")]
    assert store.find("new") == [("c1", {"data": "x"}, "failed")]
    assert store.find("what-c1") == []


def test_find_returns_every_record_of_a_description_in_order(store, record):
    put(store, record("c1"), description="same", inputs={"code": {"a": "1"}, "data": "x"})
    put(store, record("c0", status="collapsed"), description="same", inputs={"code": {"a": "2"}, "data": "x"})
    put(store, record("c2"), description="other")
    assert store.find("same") == [
        ("c1", {"code": {"a": "1"}, "data": "x"}, "done"),
        ("c0", {"code": {"a": "2"}, "data": "x"}, "collapsed"),
    ]
    assert store.find("none") == []


def test_records_are_chosen_by_field(store, record):
    put(store, record("c0", method="mae", seed=0), suite="quick")
    put(store, record("c1", method="mae", seed=1), suite="full")
    put(store, record("c2", method="simclr", seed=1), suite="full")
    assert [r.cell for r in store.records({"method": "mae"})] == ["c0", "c1"]
    assert [r.cell for r in store.records({"method": "mae", "seed": 1})] == ["c1"]
    assert [r.cell for r in store.records({"masking": None})] == ["c0", "c1", "c2"]
    assert store.suites() == ["quick", "full"]


def test_what_is_not_there_is_none(store):
    assert (store.raw("x"), store.record("x"), store.steps("x"), store.records(), store.suites()) == (
        None,
        None,
        None,
        [],
        [],
    )


def test_step_times_come_back_as_float32(store):
    given = [1.0, 12.3456789, 1e-3, 1e6]
    store.put_steps("p0", given)
    assert store.steps("p0").tolist() == np.asarray(given, np.float32).tolist()
    assert np.asarray(store.steps("p0")).dtype == np.float32
    store.put_steps("p0", np.array([2.5], np.float64))
    assert store.steps("p0").tolist() == [2.5]


def test_step_times_are_little_endian_in_the_file(tmp_path):
    with ResultsStore.open_for_writing(tmp_path) as store:
        store.put_steps("p0", [1.5, 2.5])
    with sqlite3.connect(tmp_path / "results.sqlite") as db:
        ((blob,),) = db.execute("SELECT ms FROM steps").fetchall()
    db.close()
    assert blob == struct.pack("<2f", 1.5, 2.5)


def test_a_full_disk_is_one_line_and_loses_nothing_that_was_stored(tmp_path, record, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0")
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError) as caught:
            put(store, record("c1", traceback="x" * 100_000))
        assert caught.value.messages == (
            f"{tmp_path}/results.sqlite: cannot store the record of cell c1: database or disk is full",
        )
        assert caught.value.exit_code == 3
        with pytest.raises(
            StoreError, match=r"cannot store the step times of pretraining p0: database or disk is full"
        ):
            store.put_steps("p0", [1.0] * 100_000)
        store._db.execute("PRAGMA max_page_count = 100000")
        keep(store, "c2")
    with ResultsStore.open_for_reading(tmp_path) as store:
        assert [r.cell for r in store.records()] == ["c0", "c2"]
        assert store.raw("c0") == canonical(record("c0").to_json())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        ResultsStore.open_for_writing(tmp_path / "file" / "out")
    assert str(caught.value) == (
        f"{tmp_path}/file/out/results.sqlite: cannot open the results for writing: Not a directory"
    )


def test_a_folder_that_cannot_be_written_is_one_line(as_reader):
    folder, seal = as_reader
    seal()
    with pytest.raises(StoreError, match="cannot open the results for writing: Permission denied"):
        ResultsStore.open_for_writing(folder)


def test_a_file_that_cannot_be_written_says_so_when_it_is_opened(as_reader, keep):
    folder, seal = as_reader
    with ResultsStore.open_for_writing(folder) as store:
        keep(store, "c0")
    (folder / "results.sqlite.lock").unlink()
    seal(0o777)
    with pytest.raises(StoreError, match="cannot open the results for writing: attempt to write a readonly database"):
        ResultsStore.open_for_writing(folder)


@pytest.mark.parametrize("opened", [ResultsStore.open_for_reading, ResultsStore.open_for_writing])
def test_a_damaged_file_is_one_line(tmp_path, opened):
    (tmp_path / "results.sqlite").write_bytes(b"This is no SQLite file, though it is long enough to be looked at." * 20)
    with pytest.raises(StoreError) as caught:
        opened(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/results.sqlite: cannot ")
    assert str(caught.value).endswith(": file is not a database")


def test_a_file_damaged_inside_is_one_line(tmp_path, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, *(f"c{place}" for place in range(50)))
    path = tmp_path / "results.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with (
        ResultsStore.open_for_reading(tmp_path) as store,
        pytest.raises(StoreError, match="cannot read the results: database disk image is malformed"),
    ):
        store.records()


def test_results_of_a_newer_version_are_refused_in_words(tmp_path, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0")
        store._db.execute("PRAGMA user_version = 7")
    for opened in (ResultsStore.open_for_reading, ResultsStore.open_for_writing):
        with pytest.raises(UserError, match=r"written by a newer sslbench \(schema 7; this one knows 2\); upgrade"):
            opened(tmp_path)


def test_an_sqlite_file_of_something_else_is_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "results.sqlite")
    db.execute("CREATE TABLE mine (x)")
    db.close()
    for opened in (ResultsStore.open_for_reading, ResultsStore.open_for_writing):
        with pytest.raises(UserError, match="an SQLite file, but not one of sslbench; choose another folder"):
            opened(tmp_path)


def test_a_folder_without_results_says_what_was_found(tmp_path):
    def message(folder):
        with pytest.raises(UserError) as caught:
            ResultsStore.open_for_reading(folder)
        return str(caught.value)

    here = tmp_path / "here"
    assert message(here) == f"{here}: no such folder; name the folder that `sslbench run` wrote to (--out)"
    here.mkdir()
    assert message(here) == f"{here}: holds no results (no results.sqlite; it is empty)"
    for name in "bacdefg":
        (here / f"{name}.txt").write_text("")
    expected = "no results.sqlite; found: a.txt, b.txt, c.txt, d.txt, e.txt and 2 more"
    assert message(here) == f"{here}: holds no results ({expected})"
    assert message(here / "a.txt") == f"{here}/a.txt: a file; name the folder that `sslbench run` wrote to (--out)"
    (here / "results.sqlite").touch()
    assert message(here) == f"{here}: holds no results: results.sqlite is empty"
    assert not ResultsStore.exists(here)
    ResultsStore.open_for_writing(tmp_path / "here" / "quick").close()
    (here / "results.sqlite").unlink()
    (tmp_path / "odd" / "results.sqlite").mkdir(parents=True)
    assert message(tmp_path / "odd") == f"{tmp_path}/odd: holds no results: results.sqlite is a folder"
    assert message(here) == f"{here}: holds no results itself, but these do: {here}/quick"


def test_a_file_without_tables_holds_no_results(tmp_path):
    db = sqlite3.connect(tmp_path / "results.sqlite")
    db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(UserError, match=r"holds no results: results\.sqlite is empty"):
        ResultsStore.open_for_reading(tmp_path)


def test_a_finished_folder_is_one_file_that_reading_leaves_alone(tmp_path, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0")
        store.put_steps("p0", [1.0])
    before = (tmp_path / "results.sqlite").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.sqlite", "results.sqlite.lock"]
    with ResultsStore.open_for_reading(tmp_path) as store:
        assert len(store.records()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.sqlite", "results.sqlite.lock"]
    assert (tmp_path / "results.sqlite").read_bytes() == before


def test_a_read_only_folder_can_be_read(as_reader, keep):
    folder, seal = as_reader
    with ResultsStore.open_for_writing(folder) as store:
        keep(store, "c0", "c1")
    seal()
    with ResultsStore.open_for_reading(folder) as store:
        assert [r.cell for r in store.records()] == ["c0", "c1"]


def test_a_read_only_folder_that_was_left_in_wal_mode_can_be_read(as_reader, keep):
    folder, seal = as_reader
    with ResultsStore.open_for_writing(folder) as store:
        keep(store, "c0")
    db = sqlite3.connect(folder / "results.sqlite")
    assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    db.close()
    seal()
    with ResultsStore.open_for_reading(folder) as store:
        assert [r.cell for r in store.records()] == ["c0"]


def test_a_killed_writers_folder_can_be_read_when_it_is_read_only(as_reader, writer):
    folder, seal = as_reader
    process = writer(folder, records=5)
    process.kill()
    process.wait()
    assert (folder / "results.sqlite-wal").stat().st_size > 0
    seal()
    with ResultsStore.open_for_reading(folder) as store:
        assert len(store.records()) == 5


def test_records_that_only_the_log_has_are_never_left_out_silently(as_reader, writer):
    folder, seal = as_reader
    process = writer(folder, records=5)
    process.kill()
    process.wait()
    (folder / "results.sqlite-shm").unlink()
    seal()
    with pytest.raises(StoreError, match=r"records are still in results\.sqlite-wal: copy both files"):
        ResultsStore.open_for_reading(folder)


def test_readers_see_each_record_while_the_writer_writes(tmp_path, keep):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0")
        with ResultsStore.open_for_reading(tmp_path) as one, ResultsStore.open_for_reading(tmp_path) as two:
            assert len(one.records()) == len(two.records()) == 1
            keep(store, "c1")
            assert len(one.records()) == len(two.records()) == 2
            with pytest.raises(StoreError, match="readonly"):
                keep(one, "c2")


def test_a_writer_closes_at_once_beside_a_reader_that_stays(tmp_path, keep):
    store = ResultsStore.open_for_writing(tmp_path)
    keep(store, "c0")
    with ResultsStore.open_for_reading(tmp_path) as reader:
        store.close()
        assert len(reader.records()) == 1
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c1")
    assert not (tmp_path / "results.sqlite-wal").exists()


def damage(folder, cell, text):
    db = sqlite3.connect(folder / "results.sqlite")
    db.execute("UPDATE record SET text = ? WHERE cell = ?", (text, cell))
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"cell": "c1", "sta', "not JSON: Unterminated string"),
        ("[]", "damaged: is []; allowed: an object"),
        ('{"schema": 2, "cell": "c1"}', "damaged: status is missing"),
        ('{"schema": 3, "cell": "c1"}', "has schema 3; this version reads 1 and 2"),
    ],
)
def test_a_damaged_record_names_itself_and_hides_no_other(tmp_path, keep, text, words):
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "c0", "c1", "c2")
    damage(tmp_path, "c1", text)
    with ResultsStore.open_for_reading(tmp_path) as store:
        assert [r.cell for r in store.records()] == ["c0", "c2"]
        (line,) = store.read().damaged
        assert line.startswith(f"{tmp_path}/results.sqlite: record of cell c1: {words}")
        assert "\n" not in line
        with pytest.raises(DamagedRecord, match="record of cell c1: "):
            store.record("c1")
        assert store.record("c2").cell == "c2"
        assert [store.find(f"what-c{number}")[0][2] for number in range(3)] == ["done", "damaged", "done"]


def test_a_store_of_schema_1_is_read_as_it_is_and_left_alone(old_store):
    before = (old_store / "results.sqlite").read_bytes()
    with ResultsStore.open_for_reading(old_store) as store:
        stored = store.read()
    assert stored.damaged == []
    statuses = [(r.method, r.evaluator, r.masking, r.kind, r.status) for r in stored.records]
    assert statuses == [
        ("simclr", "knn", None, "run", "done"),
        ("simclr", "few-label", None, "run", "done"),
        ("mae", "knn", "random", "run", "done"),
        ("simclr", "knn", None, "run", "failed"),
        ("simclr", "knn", None, "run", "diverged"),
        ("byol", None, None, "speed", "done"),
    ]
    assert (old_store / "results.sqlite").read_bytes() == before


def test_the_fields_of_schema_1_arrive_where_they_belong(old_store):
    with ResultsStore.open_for_reading(old_store) as store:
        knn, few, mae, failed, diverged, speed = store.records()
        assert list(store.steps(knn.pretraining.key)) == pytest.approx([150.51, 73.46], abs=0.01)
        assert store.steps(speed.cell) is not None
    assert all(r.params["training"]["evaluate_on"] == "test" for r in (knn, few, mae, failed, diverged))
    assert not any("judge_on" in r.params.get("training", {}) for r in (knn, few, mae, failed, diverged, speed))
    assert [point.epoch for point in knn.pretraining.curve] == [1, 2]
    assert knn.pretraining.curve[1].metrics["knn_top1"].evaluator == "knn"
    assert knn.pretraining.input.mean == (0.305, 0.305, 0.305)
    assert (few.metrics["few_label_top1@2"].std, few.metrics["few_label_top1@2"].n) == (0.06642510247401302, 10)
    assert (mae.mask_ratio, mae.params["masking"]["ratio"]) == (0.75, 0.75)
    assert failed.metrics["knn_top1"].reason == "256 of 256 training feature vectors hold NaN or infinity"
    assert diverged.traceback.startswith("Traceback (most recent call last):")
    assert speed.speed["against"][0]["baselines"] == ["method=simclr"]
    assert knn.made == "2026-11-26T13:06:04+00:00"
    assert [r.finished for r in (knn, failed)] == [True, False]
    assert not any(r.extra or r.pretraining.extra for r in (knn, few, mae, failed, diverged))


def test_writing_to_a_store_of_schema_1_makes_it_one_of_schema_2(old_store, record):
    with ResultsStore.open_for_writing(old_store) as store:
        assert store._db.execute("PRAGMA user_version").fetchone() == (2,)
        old = store.records()
        put(store, record("new"))
    with ResultsStore.open_for_reading(old_store) as store:
        assert store.records() == [*old, record("new")]
        assert store.read().damaged == []
        assert store.find("15d36f566ab76148") == [
            (
                "c22f31bf2e1efd82",
                {"code": {"the harness": "sslbench 0.1.0+6e2ca1156180"}, "data": "4d0aa04d1b65f02a"},
                "done",
            )
        ]
