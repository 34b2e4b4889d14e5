"""Rows of a speed suite on a page: the ratio with its interval first, and nothing that is not text stays so."""

from __future__ import annotations

import re

import pytest

from sslbench.report.charts.drawing import javascript
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Drawing, Table
from sslbench.report.html.page import html, page_of, write_report
from sslbench.speed.chapter import chapter
from sslbench.store.current import Asked, Asker
from sslbench.store.record import MetricValue, Record
from sslbench.store.results import ResultsStore

RATIO = {
    "baselines": ["full"], "cell": "a", "ratio": 2.654, "low": 2.512, "high": 2.7, "noise_floor": 0.02,
    "differs": True, "flop_bound": 2.9, "share_of_bound": 0.915, "statement": "3 to 4 times",
    "verdict": "fails: below 3",
}  # fmt: skip


def row(cell, size="tiny", against=(), status="done", **more):
    settings = {"batch_size": 4, "precision": "fp32", "compile": "eager", "image_size": 224}
    speed = {"images": 4, "images_per_second": 21.26, "median_ms": 188.15, "iqr_ms": 3.26, "p20_ms": 185.0}
    speed |= {"p80_ms": 190.0, "steady": True, "contended": True, "peak_bytes": 512e6, "flops_per_image": 1.23e10}
    params = {"method": {}, "backbone": {"size": size}, "masking": {}, "speed": settings}
    facts = {**settings, **speed, "device": "cpu", "against": list(against), "notes": {"full": "sees all"}, **more}
    words = {"method": "mae", "backbone": "vit", "masking": "random", "seed": 0, "kind": "speed", "params": params}
    reason = None if status == "done" else "no room <b>"
    return Record.from_json({"schema": 2, "cell": cell, "status": status, "reason": reason, "speed": facts, **words})


def write(folder, records):
    with ResultsStore.open_for_writing(folder) as store:
        for record in records:
            store.put(record, suite="mine", description=record.cell, inputs={})
        asked = [Asked(record.cell, "", record.cell) for record in records]
        store.ask(asked, Asker("mine", "mine", command="sslbench speed mine"))
    return Folder.read(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = [row("a"), row("b", "small", [RATIO]), row("c", "large", status="oom")]
    return write(tmp_path_factory.mktemp("timed"), rows)


def text_of(page):
    return html(page).replace(javascript(), "")


def part_of(found, kind, section):
    return next(p for s in found.sections if s.id == section for p in s.parts if isinstance(p, kind))


def values_of(drawing):
    [values] = drawing.spec["datasets"].values()
    return values


def test_the_verdict_and_the_largest_ratio_come_first(folder):
    found = chapter(folder)
    assert found.lead == [
        "Expected: 3 to 4 times. That fails (below 3) in 1 of 1 comparison.",
        "The most is gained by vit (size=small) against full: 2.65 times as fast (95% interval 2.51 to 2.70);"
        " arithmetic alone would give 2.90.",
        "A difference beyond the noise was found in 1 of 1 comparison.",
    ]


def test_a_ratio_has_its_interval_and_bound_in_table_and_chart(folder):
    found = chapter(folder)
    cells = [cell.text for line in part_of(found, Table, "against").rows for cell in line]
    assert cells[:6] == ["vit (size=small)", "full", "2.65 (2.51 to 2.70)", "2.0", "2.90", "92"]
    drawing = part_of(found, Drawing, "against")
    assert "2.65 (2.51 to 2.70)" in drawing.description
    assert values_of(drawing) == [
        {"recipe": "vit (size=small)", "ratio": 2.654, "low": 2.512, "high": 2.7, "bound": 2.9}
        | {"difference": "faster or slower"}
    ]


def test_rows_have_step_times_memory_and_arithmetic(folder):
    found = chapter(folder)
    words = " ".join(cell.text for line in part_of(found, Table, "rows").rows for cell in line)
    assert words.startswith("vit (size=tiny) mae 21.3 188 (3) 512 12.3")
    first, *_ = values_of(part_of(found, Drawing, "rows"))
    assert first == {
        "recipe": "vit (size=tiny)",
        "rate": 21.26,
        "low": 21.0526,
        "high": 21.6216,
    }


def test_the_page_names_what_was_not_measured_and_how_it_was_made(folder):
    text = text_of(page_of([folder], [chapter]))
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert titles == ["Against baselines", "Speed of each row", "Before you believe a time", "Provenance", "Records"]
    assert "oom: no room &lt;b&gt;" in text
    assert "contended: other programs took cores while 2 of 2 rows were timed" in text
    assert "sslbench speed mine" in text
    assert "no room <b>" not in text


def test_without_differences_the_fastest_row_is_named(tmp_path):
    ratio = {**RATIO, "differs": False, "statement": None, "verdict": None}
    found = chapter(write(tmp_path, [row("a"), row("b", "small", [ratio], images_per_second=30.0)]))
    assert found.lead == [
        "A difference beyond the noise was found in 0 of 1 comparison.",
        "The fastest of 2 steps is vit (size=small), at 30.0 images a second.",
    ]


def test_where_all_are_slower_nothing_is_said_to_be_gained(tmp_path):
    ratio = {**RATIO, "ratio": 0.8, "low": 0.7, "high": 0.9, "statement": None, "verdict": None, "flop_bound": None}
    found = chapter(write(tmp_path, [row("a"), row("b", "small", [ratio])]))
    assert found.lead[0] == (
        "Nothing is gained; the least is lost by vit (size=small) against full: 0.80 times as fast"
        " (95% interval 0.70 to 0.90)."
    )


def test_a_folder_of_runs_has_no_such_chapter_and_one_of_both_has_two(tmp_path):
    metrics = {"knn_top1": MetricValue(0.5)}
    run = Record("r", "done", "simclr", 0, dataset="photos", evaluator="knn", metrics=metrics, headline="knn_top1")
    assert chapter(write(tmp_path / "runs", [run])) is None
    both = write(tmp_path / "both", [run, row("a"), row("b", "small", [RATIO])])
    page = page_of([both], [chapter])
    assert [one.title for one in page.chapters] == ["both: mine", "both: speed"]
    assert text_of(page).count("Provenance</h") == 1


def test_folders_of_different_kinds_are_not_compared(tmp_path, folder):
    run = Record("r", "done", "simclr", 0, dataset="photos", metrics={"knn_top1": MetricValue(0.5)})
    runs = write(tmp_path, [run])
    assert [one.title for one in page_of([runs, folder], [chapter]).chapters[1:]] == [f"{folder.name}: speed"]
    assert page_of([folder, folder], [chapter]).chapters[0].title == "Compared"


def test_the_command_writes_it(tmp_path, folder, capsys):
    from sslbench.cli.main import call

    path = tmp_path / "page.html"
    assert call(["report", str(folder.path), "-o", str(path)]) == 0
    assert "The most is gained by" in path.read_text(encoding="utf-8")


def test_a_page_without_kinds_is_still_a_page(tmp_path, folder):
    write_report([folder.path], tmp_path / "page.html")
    assert "There are no results." in (tmp_path / "page.html").read_text(encoding="utf-8")
