"""Pictures exported under names that a reader understands."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sslbench.errors import UserError
from sslbench.report import pictures
from sslbench.report.pictures import export_pictures
from sslbench.store.artifacts import pretraining_files
from sslbench.store.pictures import OF_PRETRAINING, StoredPicture, write_pictures
from sslbench.store.record import Record, TrainingFacts
from sslbench.store.results import ResultsStore

NEAR = StoredPicture("neighbours", "What is near.", b"png of neighbours")


def record(cell, method="simclr", seed=0, evaluator="knn", params=None):
    return Record(
        cell,
        "done",
        method,
        seed,
        augmentation="affine",
        evaluator=evaluator,
        dataset="digits",
        backbone="convnet-small",
        params=params or {},
        pretraining=TrainingFacts(key=f"{method}-{seed}-{(params or {}).get('method')}"),
    )


@pytest.fixture
def folder(tmp_path):
    """Write the pictures of some records; returns the folder."""

    def write(*records):
        for one in records:
            files = pretraining_files(tmp_path / "results", one.pretraining.key)
            write_pictures(files, one.cell, [NEAR])
            write_pictures(files, OF_PRETRAINING, [replace(NEAR, name="views")])
        return tmp_path / "results"

    return write


def names(export):
    return [path.name for path in export.files]


def test_names_say_recipe_seed_evaluator_and_picture_and_those_of_a_pretraining_come_once(tmp_path, folder):
    records = [
        record("c0", method="mae"),
        record("c1", method="mae", evaluator="linear-probe"),
        record("c2", seed=1, method="mae"),
        record("c3", method="dino"),
    ]
    export = export_pictures(records, folder(*records), tmp_path / "out")
    assert names(export) == [
        "mae_seed0_knn_neighbours.png",
        "mae_seed0_views.png",
        "mae_seed0_linear-probe_neighbours.png",
        "mae_seed1_knn_neighbours.png",
        "mae_seed1_views.png",
        "dino_seed0_knn_neighbours.png",
        "dino_seed0_views.png",
    ]
    assert export.files[0].read_bytes() == NEAR.png
    listed = json.loads((tmp_path / "out/pictures.json").read_text())["pictures"]
    assert [(row["file"], row["caption"]) for row in listed] == [(name, NEAR.caption) for name in names(export)]


def test_what_tells_recipes_and_evaluators_apart_is_in_the_name(tmp_path, folder):
    records = [
        record("c0", method="moco", params={"method": {"k": 1, "t": 2}, "evaluator": {"k": 20}}),
        record("c1", method="moco", params={"method": {"k": 3, "t": 2}, "evaluator": {"k": 20}}),
        record("c2", method="moco", params={"method": {"k": 3, "t": 2}, "evaluator": {"k": 200}}),
    ]
    export = export_pictures(records, folder(*records), tmp_path / "out")
    assert [name for name in names(export) if "knn" in name] == [
        "moco-k=1_seed0_knn-k=20_neighbours.png",
        "moco-k=3_seed0_knn-k=20_neighbours.png",
        "moco-k=3_seed0_knn-k=200_neighbours.png",
    ]


def test_odd_names_make_files_that_every_system_takes_and_none_overwrites_another(tmp_path, folder):
    records = [record("c0", method="../Odd: näme"), record("c1", method="..\\odd  näme")]
    export = export_pictures(records, folder(*records), tmp_path / "out")
    assert names(export) == [
        "Odd-näme_seed0_knn_neighbours.png",
        "Odd-näme_seed0_views.png",
        "odd-näme_seed0_knn_neighbours-2.png",
        "odd-näme_seed0_views-2.png",
    ]
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


def test_an_export_replaces_its_own_files_and_leaves_those_of_others(tmp_path, folder):
    records = [record("c0"), record("c1", method="dino")]
    source, out = folder(*records), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    export_pictures(records, source, out)
    export_pictures(records[:1], source, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "mine.txt",
        "pictures.json",
        "simclr_seed0_knn_neighbours.png",
        "simclr_seed0_views.png",
    ]


@pytest.mark.parametrize("name", ["simclr_seed0_views.png", "pictures.json"])
@pytest.mark.parametrize("exported", [True, False])
def test_what_is_not_its_own_is_not_overwritten(tmp_path, folder, name, exported):
    source, out = folder(record("c0")), tmp_path / "out"
    out.mkdir()
    if exported:
        export_pictures([record("c0")], source, out)
    (out / name).write_text("changed by hand")
    before = sorted(path.read_bytes() for path in out.iterdir())
    with pytest.raises(UserError, match=r"not as an export left it, and would be overwritten; move it away, or give"):
        export_pictures([record("c0")], source, out)
    assert sorted(path.read_bytes() for path in out.iterdir()) == before


@pytest.mark.parametrize("stops", range(4))
def test_an_export_that_was_interrupted_is_completed_by_the_next(tmp_path, folder, monkeypatch, stops):
    records = [record("c0"), record("c1", method="dino")]
    source, out = folder(*records), tmp_path / "out"
    export_pictures(records[:1], source, out)
    written = iter(range(stops))

    def stopping(path, *parts):
        if next(written, None) is None:
            raise KeyboardInterrupt
        path.write_bytes(b"".join(parts))

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "write_atomically", stopping)
        with pytest.raises(KeyboardInterrupt):
            export_pictures(records, source, out)
    assert len(export_pictures(records, source, out).files) == 4


def test_a_list_that_names_files_elsewhere_removes_none(tmp_path, folder):
    from sslbench.store.digests import write_json
    from sslbench.store.pictures import digest_of

    source, out = folder(record("c0")), tmp_path / "out"
    (tmp_path / "precious").write_bytes(b"x")
    write_json(out / "pictures.json", {"pictures": [{"file": "../precious", "digest": digest_of(b"x")}]})
    export_pictures([record("c0")], source, out)
    assert (tmp_path / "precious").read_bytes() == b"x"


def test_damaged_pictures_are_named_and_the_others_written(tmp_path, folder):
    records = [record("c0"), record("c1", method="dino")]
    source = folder(*records)
    path = pretraining_files(source, records[0].pretraining.key).pictures("c0") / "neighbours.png"
    path.write_bytes(b"pnh")
    export = export_pictures(records, source, tmp_path / "out")
    assert export.damaged == [f"{path}: damaged: its bytes do not match the digest in pictures.json"]
    assert names(export) == ["simclr_seed0_views.png", "dino_seed0_knn_neighbours.png", "dino_seed0_views.png"]


@pytest.fixture
def stored(folder):
    """A results folder that the command line can read, with two pictures."""
    source = folder(record("c0"))
    with ResultsStore.open_for_writing(source) as store:
        store.put(record("c0"), suite="quick", description="d", inputs={})
        store.put(record("c1", method="dino"), suite="quick", description="e", inputs={})
    return source


def test_the_command_says_how_many_and_where_or_that_there_is_none(tmp_path, stored, sslbench):
    out = tmp_path / "out"
    done = sslbench("results", str(stored), "--pictures", str(out))
    assert (done.returncode, done.stdout) == (0, f"2 pictures in {out}; captions in {out / 'pictures.json'}\n")
    none = sslbench("results", str(stored), "--where", "method=dino", "--pictures", str(tmp_path / "none"))
    assert (none.returncode, none.stdout) == (
        0,
        f"no pictures: none of 1 record in {stored} has any; nothing was written\n",
    )
    assert not (tmp_path / "none").exists()


def test_the_command_refuses_what_it_would_not_do(tmp_path, stored, sslbench):
    beside = sslbench("results", str(stored), "--pictures", "out", "--pairs", "--format", "csv")
    assert (beside.returncode, beside.stdout) == (2, "")
    assert "--pictures writes files and prints no table; leave out --pairs, --format csv" in beside.stderr
    file = tmp_path / "file"
    file.write_text("")
    assert "a file; allowed: a folder" in sslbench("results", str(stored), "--pictures", str(file)).stderr


def test_a_name_has_no_more_bytes_than_a_file_system_takes():
    name = pictures.file_name(["simclr", "root=/" + "фото" * 100, "seed0", "knn", "neighbours"])
    assert len(name.encode()) <= pictures.LONGEST
    assert name.endswith("фото_seed0_knn_neighbours")
