from __future__ import annotations

import pytest
from scipy import stats

from sslbench.report.aggregate import aggregate
from sslbench.report.sections.spread import statistics
from sslbench.report.view import View


def section_of(records):
    return statistics(View(aggregate(records)))


def test_every_metric_has_mean_deviation_number_and_interval(record):
    values = (0.90, 0.93, 0.96)
    records = [record(seed=seed, metrics={"knn_top1": value}) for seed, value in enumerate(values)]
    records += [
        record("byol", seed=seed, metrics={"knn_top1": value - 0.3}) for seed, value in enumerate((0.9, 0.931, 0.959))
    ]
    best, other = section_of(records).rows
    low, high = stats.t.interval(0.95, 2, 0.93, stats.sem(values))
    assert (best["method"], best["n"], best["best"], best["tie"]) == ("simclr", 3, True, False)
    assert (best["mean"], best["std"]) == pytest.approx((0.93, 0.03))
    assert (best["low"], best["high"]) == pytest.approx((low, high))
    assert (other["method"], other["best"], other["tie"]) == ("byol", False, False)
    cells = {column.header: list(column.cells) for column in section_of(records).columns}
    assert cells["mean"] == ["*0.930", "0.630"]
    assert cells["95% interval"][0] == "0.855 to 1.005"


def test_one_seed_has_no_interval_and_says_how_to_get_one(record):
    section = section_of([record(), record("byol", metrics={"knn_top1": 0.8})])
    assert [(row["std"], row["low"], row["high"]) for row in section.rows] == [(None, None, None)] * 2
    cells = {column.header: list(column.cells) for column in section.columns}
    assert (cells["deviation"], cells["95% interval"]) == (["-", "-"], ["-", "-"])
    assert any("--seeds 0,1,2" in note for note in section.notes)


def test_nothing_measured_is_reported(record):
    section = section_of([record(status="failed", reason="x", metrics={})])
    assert (list(section.rows), section.title) == ([], "statistics over seeds: nothing was measured")
