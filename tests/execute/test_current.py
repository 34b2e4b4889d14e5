"""Which record is current: what ``run`` prints is what ``results``, ``compare`` and ``export`` read."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call
from sslbench.execute.events import Warned
from sslbench.execute.request import Request
from sslbench.execute.scheduler import plan_only, run
from sslbench.plan import cell as cells
from sslbench.plan.cell import Choice
from sslbench.plan.suite import Overrides
from sslbench.report.tables import render
from sslbench.store.results import FILE, ResultsStore


def values(records):
    return {record.cell: {name: metric.value for name, metric in record.metrics.items()} for record in records}


def stored(out):
    with ResultsStore.open_for_reading(out) as store:
        return store.read()


def photos(folder, hint):
    """Eight images of two classes in each split, the class told by a corner that is ``hint`` bright."""
    generator = np.random.default_rng(hint)
    for split in ("train", "test"):
        for number in range(16):
            pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels[:2, :2] = hint * (number % 2)
            path = folder / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def request(out, data="digits", **changes):
    axes = {"method": ["raw-pixels"], "evaluator": ["knn:k=3"], "dataset": [data]}
    return replace(Request(overrides=Overrides(axes, (0,), {}), out=out), **changes)


@pytest.fixture
def plugin_version(monkeypatch):
    """Set the identity of the code of every plugin."""

    def install(version):
        codes = lambda choice: {choice.spec.label: f"{choice.name} {version}"}  # noqa: E731
        monkeypatch.setattr(Choice, "codes", property(codes))

    return install


def test_a_plugin_that_is_upgraded_and_downgraded_leaves_the_record_of_the_code_that_is_there(tmp_path, plugin_version):
    out = tmp_path / "out"
    made = {}
    for version in ("1", "2", "1"):
        plugin_version(version)
        outcome = run(request(out))
        assert outcome.trained == (version not in made)
        made.setdefault(version, outcome.records)
        assert values(stored(out).records) == values(outcome.records) == values(made[version])
    assert [item.state for item in plan_only(request(out)).planned] == ["done"]
    assert stored(out).superseded == 1
    with ResultsStore.open_for_reading(out) as store:
        assert values(store.read(superseded=True).records) == values(made["2"])


def test_one_out_for_two_working_folders_is_two_data_sets_and_what_run_prints(tmp_path, monkeypatch):
    out = tmp_path / "out"
    made = {}
    for name, hint in (("a", 0), ("b", 255), ("a", 0)):
        if name not in made:
            photos(tmp_path / name / "photos", hint)
        monkeypatch.chdir(tmp_path / name)
        outcome = run(request(out, "imagefolder:root=photos,size=8"))
        made.setdefault(name, outcome.records)
        current = values(stored(out).records)
        assert values(outcome.records).items() <= current.items()
        assert current == {cell: value for records in made.values() for cell, value in values(records).items()}
    text = render(stored(out).records, "table", "s")
    fingerprints = {record.data_fingerprint for record in stored(out).records}
    assert len(fingerprints) == 2
    assert all(f"fingerprint={fingerprint[:8]}" in text for fingerprint in fingerprints)


def test_a_folder_that_was_edited_supersedes_what_it_was(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", 0)
    data = f"imagefolder:root={tmp_path}/photos,size=8"
    first = run(request(out, data))
    photos(tmp_path / "photos", 255)
    second = run(request(out, data))
    assert values(first.records) != values(second.records) == values(stored(out).records)
    assert stored(out).superseded == 1


def test_a_kept_stale_record_is_what_results_shows(tmp_path, plugin_version):
    out = tmp_path / "out"
    plugin_version("1")
    first = run(request(out))
    plugin_version("2")
    kept = run(request(out, keep_stale=True))
    assert values(kept.records) == values(first.records) == values(stored(out).records)
    assert (kept.trained, stored(out).superseded) == (0, 0)


def test_of_two_stale_records_the_one_that_was_current_is_kept(tmp_path, plugin_version):
    out = tmp_path / "out"
    made = {}
    for version in ("1", "2", "1"):
        plugin_version(version)
        made[version] = run(request(out))
    plugin_version("3")
    kept = run(request(out, keep_stale=True))
    assert values(kept.records) == values(made["1"].records)


def test_what_is_asked_for_and_not_made_yet_shows_no_older_value(tmp_path, plugin_version):
    out = tmp_path / "out"
    plugin_version("1")
    run(request(out))
    plugin_version("2")
    assert run(request(out, max_cells=0)).records == []
    assert (stored(out).records, stored(out).superseded) == ([], 1)


def test_what_failed_and_is_not_tried_again_now_is_in_both(tmp_path, monkeypatch):
    out = tmp_path / "out"
    done = run(request(out)).records
    with ResultsStore.open_for_writing(out) as store:
        failed = replace(done[0], status="failed", reason="no room")
        description = cells.digest("other")
        store.put(failed, suite="quick", description=description, inputs=failed.inputs)
    outcome = run(request(out, max_cells=0))
    assert [record.status for record in outcome.records] == ["failed"]
    assert [record.status for record in stored(out).records] == ["failed"]
    assert outcome.exit_code == 1


def test_superseded_records_are_counted_and_printed_when_asked_for(tmp_path, plugin_version, capsys):
    out = tmp_path / "out"
    for version in ("1", "2"):
        plugin_version(version)
        run(request(out))
    assert call(["results", str(out)]) == 0
    line = "1 record of other code or data than the last run asked for (--superseded prints them)"
    assert line in capsys.readouterr().out
    assert call(["results", str(out), "--format", "csv"]) == 0
    assert capsys.readouterr().err == "sslbench: 1 superseded record left out (see --superseded)\n"
    assert call(["results", str(out), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["superseded"], len(document["records"])) == (1, 1)
    assert "raw-pixels 2" in document["records"][0]["inputs"]["code"].values()
    assert call(["results", str(out), "--superseded", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "raw-pixels 1" in document["records"][0]["inputs"]["code"].values()


def test_compare_and_export_read_the_current_records_and_count_the_others(tmp_path, plugin_version, capsys):
    out = tmp_path / "out"
    for version in ("1", "2", "1"):
        plugin_version(version)
        outcome = run(request(out))
    assert call(["compare", str(out), str(out), "--format", "json"]) == 0
    stdout, err = capsys.readouterr()
    assert err == f"sslbench: {out}: 1 superseded record left out (see results --superseded)\n" * 2
    (knn,) = [change for change in json.loads(stdout)["changes"] if change["quantity"] == "knn_top1"]
    assert knn["a"] == knn["b"] == outcome.records[0].metrics["knn_top1"].value
    with ResultsStore.open_for_reading(out) as store:
        (record,) = store.records({"status": "done"})
    assert record.cell == outcome.records[0].cell


SUITE = """
[axes]
method = ["raw-pixels"]
dataset = ["digits"]
evaluator = ["knn:k={k}"]
"""


def test_two_suites_of_one_name_that_share_a_folder_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder, k in (("one", 3), ("two", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.toml").write_text(SUITE.format(k=k))
    warnings = []
    for name in ("one/mine.toml", "two/mine.toml", "two/mine.toml"):
        run(Request(name), warnings.append)
    texts = [event.text for event in warnings if isinstance(event, Warned)]
    assert (
        texts
        == [
            f"sslbench-results/mine has results of another suite 'mine' as well: {tmp_path}/one/mine.toml;"
            f" --out DIR keeps those of {tmp_path}/two/mine.toml apart"
        ]
        * 2
    )
    assert call(["results", "sslbench-results/mine"]) == 0
    title = " ".join(capsys.readouterr().out.split("\n\n")[1].split())
    assert title.startswith(f"mine ({tmp_path}/one/mine.toml, {tmp_path}/two/mine.toml): ")


@pytest.mark.parametrize("column", ["description", "content", "place", "cell", "suite", "source", "command"])
def test_a_damaged_list_of_current_records_is_named_and_all_records_are_shown(tmp_path, plugin_version, column):
    out = tmp_path / "out"
    for version in ("1", "2"):
        plugin_version(version)
        run(request(out))
    with closing(sqlite3.connect(out / FILE)) as db:
        db.execute(f"UPDATE asked SET {column} = 'x' || coalesce({column}, '')")
        db.commit()
    found = stored(out)
    assert len(found.records) == 2
    line = f"{out / FILE}: the list of current records: 1 of its rows do not match their digests"
    assert found.damaged == [line]
