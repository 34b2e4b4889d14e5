"""Several results folders in one, as if all runs had been made there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from sslbench.errors import MergeConflict, StoreError, StoreLocked, UserError
from sslbench.store.artifacts import pretraining_files
from sslbench.store.current import Asked, Asker
from sslbench.store.digests import EMPTY, read_json, write_json
from sslbench.store.merge import files
from sslbench.store.merge.merge import merge
from sslbench.store.pictures import StoredPicture, read_pictures, write_pictures
from sslbench.store.record import DataFacts, MetricValue, TrainingFacts
from sslbench.store.results import ResultsStore


@pytest.fixture
def folder(tmp_path, record):
    """Make a results folder: cell -> changes of its record, among them ``value`` of its metric and ``hour``."""

    def make(name, steps=(), **cells):
        with ResultsStore.open_for_writing(tmp_path / name) as store:
            for cell, changes in cells.items():
                value, hour = changes.pop("value", 0.5), changes.pop("hour", 0)
                pretraining = changes.pop("pretraining", "p0")
                made = record(
                    cell,
                    metrics={"knn_top1": {"value": value, "unit": "", "higher_is_better": True}},
                    provenance={"time": f"2026-01-01T{hour:02}:00:00+00:00"},
                    pretraining={"key": pretraining},
                    **changes,
                )
                store.put(made, suite="quick", description=f"what-{cell}", inputs={"code": {}})
            for key in steps:
                store.put_steps(key, [1.0, 2.0])
        return tmp_path / name

    return make


@pytest.fixture
def artifacts():
    """Write the files of a pretraining; ``number`` tells trainings apart."""

    def write(folder, key="p0", number=0.0, cells=(), checkpoint=False, facts=True):
        of = pretraining_files(folder, key)
        for path in (of.weights, of.features, *map(of.per_image, cells)):
            write_json(path, {"of": path.name, "number": number})
        of.write_data(DataFacts(3, 4))
        if checkpoint:
            write_json(of.checkpoint, {"number": number})
        if facts:
            of.write_facts(TrainingFacts(key=key, seconds=number))
        return of

    return write


def current(folder):
    with ResultsStore.open_for_reading(folder) as store:
        return {record.cell: record for record in store.read().records}


def value(record):
    return record.metrics["knn_top1"].value


def everything(folder):
    """The rows of a folder but their positions, and its files."""
    rows = {}
    with closing(sqlite3.connect(folder / "results.sqlite")) as db:
        for table in ("record", "asked", "steps"):
            rows[table] = {row[table != "steps" :] for row in db.execute(f"SELECT * FROM {table}")}
    contents = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    return rows, {path: content for path, content in contents.items() if path.parts[0] == "artifacts"}


def test_records_step_times_and_files_of_all_folders_are_in_one(tmp_path, folder, artifacts):
    a, b = folder("a", a0={}, steps=["p0"]), folder("b", b0={"pretraining": "p1"}, steps=["p1", "b0/end-to-end"])
    for of in (artifacts(a, "p0", 1.0, ["a0"]), artifacts(b, "p1", 2.0, ["b0"])):
        assert of.folder.is_dir()
    before = everything(a), everything(b)
    merged = merge([a, b], tmp_path / "deep" / "out")
    assert (merged.records, merged.current, merged.files, merged.damaged) == (2, 2, 10, [])
    assert list(current(tmp_path / "deep" / "out")) == ["a0", "b0"]
    with ResultsStore.open_for_reading(tmp_path / "deep" / "out") as store:
        assert [list(store.steps(key)) for key in ("p0", "p1", "b0/end-to-end")] == [[1.0, 2.0]] * 3
    for source in (a, b):
        for path, content in everything(source)[1].items():
            assert (tmp_path / "deep" / "out" / path).read_bytes() == content
    assert (everything(a), everything(b)) == before


def test_a_merge_that_is_repeated_changes_nothing(tmp_path, folder, artifacts):
    a, b, out = folder("a", a0={}, steps=["p0"]), folder("b", b0={"pretraining": "p1"}), tmp_path / "out"
    artifacts(a, cells=["a0"])
    merge([a, b], out)
    before = everything(out)
    merged = merge([b, a], out)
    assert everything(out) == before
    assert merged.files == 0
    assert [dict(part.fates)["kept"] for part in merged.parts] == [2, 1, 1]


def test_the_same_result_from_two_folders_counts_once_and_the_first_that_was_made_is_kept(tmp_path, folder, artifacts):
    late, early = folder("late", c0={"hour": 5}, steps=["p0"]), folder("early", c0={"hour": 2}, steps=["p0"])
    artifacts(late, number=5.0, cells=["c0"])
    artifacts(early, number=2.0, cells=["c0"])
    for name, folders in (("x", [late, early]), ("y", [early, late])):
        merged = merge(folders, tmp_path / name)
        assert [record.made[11:13] for record in current(tmp_path / name).values()] == ["02"]
        assert merged.several_trainings == 1
        assert pretraining_files(tmp_path / name, "p0").read_facts().seconds == 2.0
        assert [part.fates["equal"] for part in merged.parts] == [int(folder == late) for folder in folders]
    assert everything(tmp_path / "x") == everything(tmp_path / "y")


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "diverged"])
def test_done_is_kept_before_what_went_wrong_without_a_conflict(tmp_path, folder, status):
    done, wrong = folder("done", c0={"hour": 1}), folder("wrong", c0={"status": status, "reason": "no", "hour": 9})
    for name, folders in (("x", [done, wrong]), ("y", [wrong, done])):
        merged = merge(folders, tmp_path / name)
        assert [record.status for record in current(tmp_path / name).values()] == ["done"]
        assert sum(part.fates["retried"] for part in merged.parts) == 1


def test_of_tries_that_all_went_wrong_the_last_is_kept(tmp_path, folder):
    a = folder("a", c0={"status": "failed", "reason": "early", "hour": 1})
    b = folder("b", c0={"status": "oom", "reason": "late", "hour": 2})
    merge([b, a], tmp_path / "out")
    assert [record.reason for record in current(tmp_path / "out").values()] == ["late"]


def test_done_records_of_other_results_are_a_conflict_and_nothing_is_written(tmp_path, folder):
    a, b = folder("a", c0={"value": 0.1 + 0.2}, a1={}), folder("b", c0={"value": 0.3})
    with pytest.raises(MergeConflict) as error:
        merge([a, b], tmp_path / "out")
    words = "simclr affine convnet-small digits knn seed 0: knn_top1 is 0.30000000000000004"
    assert error.value.messages == (
        f"{words} in {a}, 0.3 in {b} (cell c0)",
        "nothing is written; --prefer first, last or newest says which record of each is kept",
    )
    assert error.value.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_other_words_of_a_conflict(tmp_path, folder, record):
    a, b = folder("a", c0={}, c1={}), folder("b", c0={"status": "collapsed", "reason": "flat"}, c1={})
    with ResultsStore.open_for_writing(b) as store:
        metrics = {f"m{number}": MetricValue(float(number)) for number in range(5)}
        store.put(replace(record("c1"), metrics=metrics), suite="quick", description="what-c1", inputs={})
    with pytest.raises(MergeConflict) as error:
        merge([a, b], tmp_path / "out")
    first, second, _ = error.value.messages
    assert first.endswith(f": done in {a}, collapsed in {b} (cell c0)")
    lacking = f"knn_top1 is 0.5 in {a}, not there in {b}; m0 is not there in {a}, 0.0 in {b}; m1 is"
    assert lacking in second
    assert second.endswith(", and 3 more metrics (cell c1)")


def test_a_metric_that_differs_in_its_deviation_alone_is_shown_whole(tmp_path, folder, record):
    a, b = tmp_path / "a", tmp_path / "b"
    for path, std in ((a, 0.1), (b, None)):
        with ResultsStore.open_for_writing(path) as store:
            metrics = {"m": MetricValue(None, std=std)}
            store.put(replace(record(), metrics=metrics), suite="quick", description="d", inputs={})
    with pytest.raises(MergeConflict, match=r"m is MetricValue\(value=None, .*std=0\.1, .* in .*std=None"):
        merge([a, b], tmp_path / "out")


def test_ten_conflicts_are_named_and_the_others_counted(tmp_path, folder):
    cells = [f"c{number:02}" for number in range(13)]
    a = folder("a", **{cell: {"value": 0.1} for cell in cells})
    b = folder("b", **{cell: {"value": 0.2} for cell in cells})
    with pytest.raises(MergeConflict) as error:
        merge([a, b], tmp_path / "out")
    assert len(error.value.messages) == 12
    assert error.value.messages[-2] == "and 3 more cells with other results"


@pytest.mark.parametrize(("prefer", "kept"), [("first", 0.1), ("last", 0.3), ("newest", 0.2)])
def test_prefer_says_which_record_is_kept_with_its_files(tmp_path, folder, artifacts, prefer, kept):
    folders = []
    for number, hour in ((0.1, 1), (0.2, 9), (0.3, 5)):
        folders.append(folder(f"f{number}", c0={"value": number, "hour": hour}, other={"hour": hour}))
        artifacts(folders[-1], number=number, cells=["c0", "other"])
    merged = merge(folders, tmp_path / "out", prefer=prefer)
    assert value(current(tmp_path / "out")["c0"]) == kept
    of = pretraining_files(tmp_path / "out", "p0")
    paths = (of.weights, of.features, of.per_image("c0"), of.per_image("other"))
    assert [read_json(path)["number"] for path in paths] == [kept] * 4
    assert sum(part.fates["overruled"] for part in merged.parts) == 2
    merge(folders, tmp_path / "out", prefer=prefer)
    assert value(current(tmp_path / "out")["c0"]) == kept


def pictures(folder, owner="c0"):
    return [picture.caption for picture in read_pictures(pretraining_files(folder, "p0").pictures(owner))]


def test_pictures_go_with_the_record_and_the_training_that_are_kept(tmp_path, folder, artifacts):
    a, b, out = folder("a", c0={"value": 0.1}), folder("b", c0={"value": 0.2}), tmp_path / "out"
    for number, source in ((0.1, a), (0.2, b)):
        of = artifacts(source, number=number)
        for owner in ("c0", "pretraining"):
            write_pictures(of, owner, [StoredPicture("map", f"{owner} {number}", b"png")])
    merged = merge([a, b], out, prefer="last")
    assert (pictures(out), pictures(out, "pretraining")) == (["c0 0.2"], ["pretraining 0.2"])
    assert merged.files == 4 + 2 * 2
    assert merge([a, b], out, prefer="last").files == 0
    merge([a], out, prefer="last")
    assert (pictures(out), pictures(out, "pretraining")) == (["c0 0.1"], ["pretraining 0.1"])
    artifacts(b, number=0.2)
    write_pictures(pretraining_files(b, "p0"), "c0", [])
    merge([b], out, prefer="last")
    assert pictures(out) == []


def test_damaged_pictures_are_left_out_and_named_or_taken_from_another_folder(tmp_path, folder, artifacts):
    a, b, c = (folder(name, c0={"value": 0.1}) for name in "abc")
    for source in (a, b):
        write_pictures(artifacts(source), "c0", [StoredPicture("map", "Whole.", b"png")])
    path = pretraining_files(a, "p0").pictures("c0") / "map.png"
    path.write_bytes(b"pnh")
    merged = merge([a, c], tmp_path / "out")
    assert merged.damaged == [f"{path}: damaged: its bytes do not match the digest in pictures.json"]
    assert merged.parts[0].fates["damaged"] == 1
    assert pictures(tmp_path / "out") == []
    merge([a, b], tmp_path / "out")
    assert pictures(tmp_path / "out") == ["Whole."]


def test_what_is_merged_already_comes_first_and_can_be_overruled_with_its_files(tmp_path, folder, artifacts):
    a, b, out = folder("a", c0={"value": 0.1}, steps=["p0"]), folder("b", c0={"value": 0.2}), tmp_path / "out"
    artifacts(a, number=0.1, cells=["c0"])
    of = artifacts(b, number=0.2)
    of.features.unlink()
    merge([a], out)
    with pytest.raises(MergeConflict, match=f"is 0.1 in {out}, 0.2 in {b}"):
        merge([b], out)
    merge([b], out, prefer="first")
    assert value(current(out)["c0"]) == 0.1
    merge([b], out, prefer="last")
    assert value(current(out)["c0"]) == 0.2
    of = pretraining_files(out, "p0")
    assert read_json(of.weights)["number"] == 0.2
    assert not of.features.exists()
    assert not of.per_image("c0").exists()
    with ResultsStore.open_for_reading(out) as store:
        assert store.steps("p0") is None


def test_speeds_that_were_measured_twice_are_no_conflict(tmp_path, folder):
    a = folder("a", c0={"value": 1.0, "kind": "speed", "hour": 3, "pretraining": None})
    b = folder("b", c0={"value": 2.0, "kind": "speed", "hour": 1, "pretraining": None}, steps=["c0"])
    merged = merge([a, b], tmp_path / "out")
    assert value(current(tmp_path / "out")["c0"]) == 1.0
    assert [part.fates["remeasured"] for part in merged.parts] == [0, 1]
    with ResultsStore.open_for_reading(tmp_path / "out") as store:
        assert store.steps("c0") is None


def ask(folder, *cells, content="x", place="here", command=None, description="d"):
    with ResultsStore.open_for_writing(folder) as store:
        store.ask([Asked(description, content, cell) for cell in cells], Asker("quick", "quick", place, command))


def with_description(store, record, cell):
    store.put(record(cell), suite="quick", description="d", inputs={})


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_later_asking_says_what_is_current(tmp_path, record, order):
    """The upgrade in one folder, then the downgrade in another: the older code's record is current again."""
    for name, cells in (("a", ("old", "new")), ("b", ("old",))):
        with ResultsStore.open_for_writing(tmp_path / name) as store:
            for cell in cells:
                with_description(store, record, cell)
    for name, cell in (("a", "old"), ("a", "new"), ("b", "old")):
        ask(tmp_path / name, cell)
    merged = merge([tmp_path / name for name in order], tmp_path / "out")
    assert (merged.records, merged.current) == (2, 1)
    assert list(current(tmp_path / "out")) == ["old"]
    ask(tmp_path / "a", "new")
    merge([tmp_path / name for name in order], tmp_path / "out")
    assert list(current(tmp_path / "out")) == ["new"]


def test_two_contents_from_two_working_folders_are_both_current_and_an_edited_folder_is_not(tmp_path, record):
    for name, place, content in (("a", "here", "x"), ("b", "there", "y"), ("c", "here", "z")):
        with ResultsStore.open_for_writing(tmp_path / name) as store:
            with_description(store, record, f"of-{content}")
        ask(tmp_path / name, f"of-{content}", content=content, place=place)
    merge([tmp_path / name for name in "cab"], tmp_path / "out")
    assert set(current(tmp_path / "out")) == {"of-y", "of-z"}


def test_where_an_older_version_did_not_note_when_it_asked_the_record_says(tmp_path, record):
    for name, cell, hour in (("a", "old", 1), ("b", "new", 2)):
        with ResultsStore.open_for_writing(tmp_path / name) as store:
            made = record(cell, provenance={"time": f"2026-01-01T{hour:02}:00:00+00:00"})
            store.put(made, suite="quick", description="d", inputs={})
        ask(tmp_path / name, cell)
        with closing(sqlite3.connect(tmp_path / name / "results.sqlite")) as db, db:
            db.execute("ALTER TABLE asked DROP COLUMN time")
            db.execute("UPDATE asked SET digest = NULL")
    merge([tmp_path / "b", tmp_path / "a"], tmp_path / "out")
    assert list(current(tmp_path / "out")) == ["new"]


def test_what_is_not_run_yet_is_asked_for_in_the_merged_folder(tmp_path, record):
    for name in ("a", "b"):
        ask(
            tmp_path / name,
            f"{name}0",
            f"{name}1",
            content=name,
            place=name,
            command=f"sslbench run quick --out '{name} x' --seeds {name}",
        )
    ask(tmp_path / "b", "c0", description="e", command="sslbench run more")
    out = tmp_path / "the result"
    merge([tmp_path / "a", tmp_path / "b"], out)
    with ResultsStore.open_for_reading(out) as store:
        found = [(item.command, item.cells, item.missing) for item in store.unfinished()]
    assert found == [
        (f"sslbench run quick --out '{out}' --seeds a", 2, 2),
        (f"sslbench run quick --out '{out}' --seeds b", 2, 2),
        (f"sslbench run more --out '{out}'", 1, 1),
    ]


def test_a_damaged_list_of_current_records_is_named_and_all_records_shown(tmp_path, record):
    with ResultsStore.open_for_writing(tmp_path / "a") as store:
        with_description(store, record, "old")
        with_description(store, record, "new")
    ask(tmp_path / "a", "new")
    with closing(sqlite3.connect(tmp_path / "a" / "results.sqlite")) as db, db:
        db.execute("UPDATE asked SET cell = 'old'")
    merged = merge([tmp_path / "a"], tmp_path / "out")
    (line,) = merged.damaged
    assert line.endswith("the list of current records: 1 of its rows do not match their digests")
    assert set(current(tmp_path / "out")) == {"old", "new"}


def test_damaged_records_and_step_times_are_named_and_left_out(tmp_path, folder):
    a, b = folder("a", c0={}, c1={}, steps=["p0"]), folder("b", c1={}, c2={})
    with closing(sqlite3.connect(a / "results.sqlite")) as db, db:
        db.execute("UPDATE record SET text = replace(text, '0.5', '0.6') WHERE cell != 'c2'")
        db.execute("UPDATE steps SET ms = x'00000000'")
    merged = merge([a, b], tmp_path / "out")
    assert [line.partition("results.sqlite: ")[2] for line in merged.damaged] == [
        "record of cell c0: damaged: it does not match its digest",
        "record of cell c1: damaged: it does not match its digest",
        "step times of pretraining p0: damaged",
    ]
    assert list(current(tmp_path / "out")) == ["c1", "c2"]
    assert [(part.records, part.fates["damaged"]) for part in merged.parts] == [(0, 3), (2, 0)]


def test_a_damaged_record_of_the_merged_folder_is_mended_by_its_copy(tmp_path, folder):
    a, out = folder("a", c0={}), tmp_path / "out"
    merge([a], out)
    with closing(sqlite3.connect(out / "results.sqlite")) as db, db:
        db.execute("UPDATE record SET status = 'oom'")
    assert "does not match its digest" in merge([a], out).damaged[0]
    assert [record.status for record in current(out).values()] == ["done"]


def test_damaged_files_are_named_and_the_same_file_of_another_folder_is_taken(tmp_path, folder, artifacts):
    a, b, out = folder("a", c0={}), folder("b", c0={}), tmp_path / "out"
    for path in (a, b):
        of = artifacts(path, cells=["c0"])
    damaged = [pretraining_files(a, "p0").features, pretraining_files(a, "p0").per_image("c0")]
    for path in damaged:
        path.write_bytes(path.read_bytes().replace(b"number", b"numbed"))
    merged = merge([a, b], out)
    assert merged.damaged == [f"{path}: damaged: its bytes do not match its digest" for path in damaged]
    assert [part.fates["damaged"] for part in merged.parts] == [2, 0]
    for name in ("features", "weights", "facts"):
        assert getattr(pretraining_files(out, "p0"), name).read_bytes() == getattr(of, name).read_bytes()
    assert read_json(pretraining_files(out, "p0").per_image("c0"))["number"] == 0.0


def test_a_damaged_file_that_nobody_has_whole_is_left_out_alone(tmp_path, folder, artifacts):
    a, out = folder("a", c0={}), tmp_path / "out"
    of = artifacts(a)
    of.features.write_bytes(b"")
    merged = merge([a], out)
    assert merged.damaged == [f"{of.features}: damaged or of an older sslbench: it is empty"]
    assert sorted(path.name for path in pretraining_files(out, "p0").folder.iterdir()) == [
        "data.json",
        "pretraining.json",
        "weights.safetensors",
    ]


def test_an_unfinished_training_brings_its_checkpoint_unless_another_folder_has_ended_it(tmp_path, folder, artifacts):
    a, b = folder("a", c0={"pretraining": "p1"}), folder("b", c1={})
    artifacts(a, checkpoint=True, facts=False)
    merge([a], tmp_path / "out")
    of = pretraining_files(tmp_path / "out", "p0")
    assert of.checkpoint.exists()
    artifacts(b, number=7.0)
    merge([a, b], tmp_path / "out")
    assert not of.checkpoint.exists()
    assert read_json(of.weights)["number"] == of.read_facts().seconds == 7.0


def test_without_artifacts_there_are_records_and_step_times_alone(tmp_path, folder, artifacts):
    a, out = folder("a", c0={}, steps=["p0"]), tmp_path / "out"
    artifacts(a, cells=["c0"])
    assert merge([a], out, artifacts=False).files == 0
    assert not (out / "artifacts").exists()
    with ResultsStore.open_for_reading(out) as store:
        assert len(store.steps("p0")) == 2
    assert merge([a], out).files == 5


def test_folders_that_cannot_be_merged_are_named_before_anything_is_written(tmp_path, folder):
    a, newer, empty, out = folder("a", c0={}), folder("newer", c1={}), tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    (tmp_path / "link").symlink_to(a)
    with closing(sqlite3.connect(newer / "results.sqlite")) as db, db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError) as error:
        merge([a, newer, empty, tmp_path / "none"], out)
    first, second, third = error.value.messages
    assert first.startswith(f"{newer / 'results.sqlite'}: written by a newer sslbench (schema 99;")
    assert second == f"{empty}: holds no results (no results.sqlite; it is empty)"
    assert third == f"{tmp_path / 'none'}: no such folder; name the folder that `sslbench run` wrote to (--out)"
    with pytest.raises(UserError) as error:
        merge([a, a, tmp_path / "link", out], out)
    assert error.value.messages == (
        f"{a}: is given twice",
        f"{tmp_path / 'link'}: is {a}, given twice",
        f"{out}: is the folder that the results go to (--out); choose another",
    )
    with pytest.raises(UserError, match="is the folder that the results go to"):
        merge([a], tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file; allowed: a folder, or a name that nothing has yet"):
        merge([a], tmp_path / "file")
    assert not out.exists()


def test_a_results_file_that_is_broken_is_refused_in_one_line(tmp_path, folder):
    a = folder("a", **{f"c{number}": {} for number in range(20)})
    content = bytearray((a / "results.sqlite").read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    (a / "results.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="cannot read the results: database disk image is malformed") as error:
        merge([a], tmp_path / "out")
    assert len(error.value.messages) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_is_read_beside_its_writer_who_is_named_and_a_busy_target_is_refused(tmp_path, folder, writer):
    a = folder("a", a0={})
    process = writer(tmp_path / "busy")
    merged = merge([a, tmp_path / "busy"], tmp_path / "out")
    assert merged.parts[0].writer is None
    assert f"pid {process.pid} on " in merged.parts[1].writer
    assert set(current(tmp_path / "out")) == {"a0", "c0", "c1", "c2"}
    with pytest.raises(StoreLocked, match="another process is writing these results"):
        merge([a], tmp_path / "busy")
    process.kill()
    process.wait()
    assert merge([tmp_path / "busy"], tmp_path / "out").parts[1].writer is None
    assert set(current(tmp_path / "out")) == {"a0", "c0", "c1", "c2"}


def test_a_record_that_changes_while_it_is_merged_ends_the_merge_with_nothing_stored(tmp_path, folder, monkeypatch):
    a, b, out = folder("a", a0={}), folder("b", c0={"status": "failed", "reason": "no"}), tmp_path / "out"
    monkeypatch.setattr("sslbench.store.merge.merge.merged_asked", lambda *_: folder("b", c0={}) and [])
    with pytest.raises(StoreError, match="record of cell c0 changed meanwhile; merge again"):
        merge([a, b], out)
    assert current(out) == {}


def test_a_file_that_changes_while_it_is_copied_is_named(tmp_path, folder, artifacts, monkeypatch):
    a, out = folder("a", c0={}), tmp_path / "out"
    of = artifacts(a)

    def copyfile(source, target):
        if source == of.features:
            of.features.unlink()
            raise FileNotFoundError(2, "gone", str(source))
        write_json(target, {"other": EMPTY})

    monkeypatch.setattr(files.shutil, "copyfile", copyfile)
    lines = merge([a], out).damaged
    assert f"{of.features}: changed while it was copied" in lines
    assert len(lines) == 4
    assert list(current(out)) == ["c0"]


def test_a_full_disk_is_one_line_and_no_record_is_stored(tmp_path, folder, artifacts, monkeypatch):
    a, out = folder("a", c0={}), tmp_path / "out"
    of = artifacts(a)

    def copyfile(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.shutil, "copyfile", copyfile)
    with pytest.raises(StoreError, match="cannot be copied from .*: No space left on device"):
        merge([a], out)
    assert current(out) == {}
    assert of.features.exists()


def test_results_of_schema_1_are_merged(tmp_path, old_store, folder):
    merged = merge([old_store, folder("a", c0={})], tmp_path / "out")
    with ResultsStore.open_for_reading(old_store) as store:
        old = store.read().records
        assert merged.records == len(old) + 1
    new = current(tmp_path / "out")
    assert all(new[record.cell] == replace(record, inputs=new[record.cell].inputs) for record in old)


def test_new_records_stand_in_the_order_of_their_making(tmp_path, folder):
    a, b = folder("a", x={"hour": 3}, y={"hour": 1}), folder("b", z={"hour": 2})
    merge([a, b], tmp_path / "out")
    assert list(current(tmp_path / "out")) == ["y", "z", "x"]
    merge([folder("c", w={"hour": 0})], tmp_path / "out")
    assert list(current(tmp_path / "out")) == ["y", "z", "x", "w"]
