from __future__ import annotations

import pytest

from sslbench.report.aggregate import aggregate
from sslbench.report.sections.curves import curves
from sslbench.report.tables import render
from sslbench.report.view import View
from tests.report.test_tables import detailed


def entry(value, higher=True):
    return {"value": value, "unit": "", "higher_is_better": higher, "evaluator": "knn"}


def curved(record, seed, tops, method="simclr", every=2, **metrics):
    points = [
        {"epoch": every * place, "loss": 1 / place + seed, "metrics": {"knn_top1": entry(top), **metrics}}
        for place, top in enumerate(tops, 1)
    ]
    return record(method, seed, metrics={"knn_top1": tops[-1]}, pretraining={"curve": points})


def section_of(records):
    return curves(View(aggregate(records)))


def test_a_curve_is_the_mean_over_seeds_with_its_best_epoch_named(record):
    records = [curved(record, 0, (0.2, 0.6, 0.4)), curved(record, 1, (0.4, 0.8, 0.6)), record("raw-pixels")]
    section = section_of(records)
    rows = [(row["method"], row["epoch"], row["epochs"], row["seeds"], row["knn_top1"]) for row in section.rows]
    assert [row[:4] for row in rows] == [("simclr", epoch, 6, 2) for epoch in (2, 4, 6)]
    assert [row[4] for row in rows] == pytest.approx([0.3, 0.7, 0.5])
    assert [row["loss"] for row in section.rows] == pytest.approx([1.5, 1.0, 1 / 3 + 0.5])
    cells = {column.header: list(column.cells) for column in section.columns}
    assert cells["epoch"] == ["2/6", "4/6", "6/6"]
    assert cells["knn_top1"] == ["0.300", "*0.700", "0.500"]
    assert any("*: best epoch of curve, chosen on the images" in note for note in section.notes)


def test_the_lowest_is_best_where_lower_is_better_and_null_is_no_number(record):
    records = [curved(record, 0, (0.2, 0.6), rmse=entry(0.5, higher=False), gone=entry(None))]
    cells = {column.header: list(column.cells) for column in section_of(records).columns}
    assert cells["rmse"] == ["*0.500", "0.500"]
    assert cells["gone"] == ["-", "-"]


def test_no_epoch_is_best_where_neither_is_better(record):
    records = [curved(record, 0, (0.2, 0.6), alpha=entry(0.5, higher=None))]
    cells = {column.header: list(column.cells) for column in section_of(records).columns}
    assert cells["alpha"] == ["0.500", "0.500"]


def test_metrics_that_need_no_labels_come_last_and_are_not_in_the_main_table(record):
    free = {**entry(3.0), "evaluator": "label-free"}
    records = [curved(record, 0, (0.2, 0.6), arank=free), record("byol")]
    assert [column.header for column in section_of(records).columns][-2:] == ["knn_top1", "arank"]
    assert "arank" not in render(records, "table", "s")


def test_only_epochs_that_every_seed_has_are_averaged(record):
    records = [curved(record, 0, (0.2, 0.6), every=2), curved(record, 1, (0.2, 0.6, 0.8, 0.9), every=1)]
    assert [row["epoch"] for row in section_of(records).rows] == [2, 4]


def test_without_a_curve_it_says_how_to_get_one(record):
    section = section_of([record()])
    assert (list(section.rows), section.title) == ([], section.title)
    assert "run with --set curve_every=1" in section.title


def test_the_main_table_has_the_last_epoch_and_names_the_best_as_what_it_is(record):
    records = [curved(record, 0, (0.2, 0.6, 0.4)), record("byol")]
    text = detailed(records)
    assert "best epoch of curve, chosen on the images that it is evaluated on (the table has the last epoch):" in text
    assert "  simclr: knn_top1 0.600 at epoch 4 of 6, last 0.400" in text
    assert "best epochs of curves (--details has all)" in render(records, "table", "s")
    assert "best epoch" not in detailed([record(), record("byol")])
