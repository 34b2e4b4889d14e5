from __future__ import annotations

import math
import statistics

import pytest

from sslbench.report.aggregate import SPEEDS, aggregate, speed
from sslbench.report.frame import data_frame


def row(summary, **wanted):
    """The only row with these values."""
    table = data_frame(summary)
    for name, value in wanted.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_mean_deviation_and_count_over_seeds(record):
    values = {0: 0.90, 1: 0.93, 5: 0.96}
    summary = aggregate([record(seed=seed, metrics={"knn_top1": value}) for seed, value in values.items()])
    line = row(summary, method="simclr")
    assert line["knn_top1_mean"] == pytest.approx(0.93)
    assert line["knn_top1_std"] == pytest.approx(0.03)  # ((-.03)^2 + 0 + .03^2) / (3 - 1), square root
    assert (line["knn_top1_n"], line["seeds"], line["status"]) == (3, 3, "3 done")


def test_one_seed_has_no_deviation(record):
    line = row(aggregate([record(metrics={"knn_top1": 0.9})]))
    assert (line["knn_top1_mean"], line["knn_top1_n"]) == (0.9, 1)
    assert math.isnan(line["knn_top1_std"])


def test_the_evaluators_of_one_pretraining_are_columns_of_one_row(record):
    summary = aggregate(
        [
            record(evaluator="linear-probe", metrics={"linear_top1": 0.8}),
            record(evaluator="knn", metrics={"knn_top1": 0.9}),
            record(evaluator="few-label", metrics={"few_label_top1@13": 0.6, "few_label_top1@2": 0.4}),
        ]
    )
    line = row(summary)
    assert [column.label for column in summary.metrics] == [
        "linear_top1",
        "knn_top1",
        "few_label_top1@2",
        "few_label_top1@13",
    ]
    assert [line[f"{column.label}_mean"] for column in summary.metrics] == [0.8, 0.9, 0.4, 0.6]
    assert line["status"] == "1 done"


def test_what_differs_in_any_axis_is_a_row_of_its_own(record):
    records = [
        record(),
        record("byol"),
        record(augmentation="none"),
        record(dataset="cifar10"),
        record(backbone="vit"),
        record("mae", masking="random", mask_ratio=0.75),
        record("mae", masking="random", mask_ratio=0.5),
        record("mae", masking="grid", mask_ratio=0.5),
    ]
    assert len(data_frame(aggregate(records))) == len(records)


def test_rows_of_one_name_are_distinguished_by_the_parameters_that_differ(record):
    def with_temperature(value, seed):
        return record(seed=seed, params={"method": {"temperature": value, "width": 64}}, metrics={"knn_top1": value})

    summary = aggregate(
        [with_temperature(t, s) for t in (0.1, 0.5) for s in (0, 1)] + [record("byol", params={"method": {"m": 1}})]
    )
    assert summary.distinguishing["method", "simclr"] == ["temperature"]
    assert summary.distinguishing["method", "byol"] == []
    assert "method.width" not in data_frame(summary)
    for value in (0.1, 0.5):
        line = row(summary, **{"method.temperature": value})
        assert (line["knn_top1_mean"], line["seeds"]) == (value, 2)


def test_training_settings_that_differ_make_rows_and_those_a_baseline_lacks_do_not(record):
    longer = {**record().params["training"], "epochs": 40}
    summary = aggregate([record(), record(params={"training": longer}), record("raw-pixels", augmentation=None)])
    assert summary.distinguishing["training", ""] == ["epochs"]
    assert data_frame(summary)["training.epochs"].tolist() == [20, 40, None]


def test_evaluators_of_one_name_with_other_parameters_keep_apart(record, metric):
    def few(labels, value):
        metrics = {f"few_label_top1@{n}": metric(value, std=0.1, n=5) for n in labels}
        return record(evaluator="few-label", params={"evaluator": {"labels": labels}}, metrics=metrics)

    def knn(k, value):
        return record(params={"evaluator": {"k": k, "temperature": 0.1}}, metrics={"knn_top1": value})

    summary = aggregate([few([1], 0.3), few([1, 2], 0.4), few([13], 0.6), knn(20, 0.9), knn(5, 0.8)])
    line = row(summary)
    means = {column.label: line[f"{column.label}_mean"] for column in summary.metrics}
    assert means == {
        "few_label_top1@1 (labels=[1])": 0.3,
        "few_label_top1@1 (labels=[1, 2])": 0.4,
        "few_label_top1@2": 0.4,
        "few_label_top1@13": 0.6,
        "knn_top1 (k=20)": 0.9,
        "knn_top1 (k=5)": 0.8,
    }


def test_two_evaluators_with_one_metric_name_keep_apart(record):
    summary = aggregate([record(evaluator=name, metrics={"top1": value}) for name, value in (("a", 0.1), ("b", 0.2))])
    assert {column.label: row(summary)[f"{column.label}_mean"] for column in summary.metrics} == {
        "top1 (a)": 0.1,
        "top1 (b)": 0.2,
    }


def test_draws_inside_the_evaluator_are_not_a_spread_over_seeds(record, metric):
    one = aggregate([record(metrics={"m": metric(0.5, std=0.04, n=10)})])
    assert math.isnan(row(one)["m_std"])
    assert (row(one)["m_draws_std"], row(one)["m_draws_n"]) == (0.04, 10)
    two = aggregate([record(seed=s, metrics={"m": metric(v, std=d, n=10)}) for s, v, d in ((0, 0.5, 3), (1, 0.7, 4))])
    assert row(two)["m_std"] == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert row(two)["m_draws_std"] == pytest.approx(math.sqrt((9 + 16) / 2))


def test_each_pretraining_counts_once_however_many_evaluators_measured_it(record):
    def cell(seed, evaluator, speed, features):
        return record(
            seed=seed,
            evaluator=evaluator,
            metrics={evaluator: 0.5},
            pretraining={"images_per_second": speed, "seconds": speed / 10, "step_ms_median": 3.0},
            features={"images_per_second": features},
        )

    three_evaluators = [cell(0, name, 100.0, 7.0) for name in "abc"]
    summary = aggregate([*three_evaluators, cell(1, "a", 400.0, 9.0)])
    line = row(summary)
    assert line["images_per_second_mean"] == 250.0
    assert line["images_per_second_std"] == pytest.approx(statistics.stdev([100, 400]))
    assert line["images_per_second_n"] == 2
    assert (line["pretraining_seconds_mean"], line["step_ms_median_mean"]) == (25.0, 3.0)
    assert line["embed_images_per_second_mean"] == 8.0
    assert math.isnan(line["flops_per_image_mean"])
    assert line["flops_per_image_n"] == 0


def test_a_record_that_failed_does_not_hide_what_its_pretraining_measured(record):
    speed = {"images_per_second": 100.0}
    summary = aggregate(
        [
            record(evaluator="a", status="failed", reason="x", metrics={}, features={"images_per_second": None}),
            record(evaluator="b", metrics={"b": 0.5}, pretraining=speed, features={"images_per_second": 5.0}),
        ]
    )
    line = row(summary)
    assert (line["images_per_second_mean"], line["images_per_second_n"]) == (100.0, 1)
    assert line["embed_images_per_second_mean"] == 5.0


def test_a_row_says_how_many_seeds_are_done_and_what_went_wrong_with_the_others(record, metric):
    gone = {"status": "diverged", "reason": "loss is nan at step 3\nTraceback", "metrics": {"knn_top1": metric(None)}}
    summary = aggregate([record(seed=0), record(seed=1), record(seed=2, **gone), record("mae", **gone)])
    line = row(summary, method="simclr")
    assert (line["status"], line["seeds"], line["knn_top1_n"]) == ("2 done, 1 diverged", 3, 2)
    assert row(summary, method="mae")["status"] == "1 diverged"
    assert math.isnan(row(summary, method="mae")["knn_top1_mean"])
    assert row(summary, method="mae")["knn_top1_n"] == 0
    problems = [(p.row, p.seeds, p.evaluators) for p in summary.problems]
    assert problems == [(0, (2,), ()), (1, (0,), ())]
    assert {(p.status, p.reason) for p in summary.problems} == {("diverged", "loss is nan at step 3")}


def test_one_failed_evaluator_is_named_and_its_seed_is_not_done(record):
    failed = {"status": "failed", "reason": "singular", "metrics": {"linear_top1": 0.99}}
    summary = aggregate([record(), record(evaluator="linear-probe", **failed)])
    assert row(summary)["status"] == "1 failed"
    assert [(p.evaluators, p.reason) for p in summary.problems] == [(("linear-probe",), "singular")]
    assert math.isnan(row(summary)["linear_top1_mean"]), "what a failed cell has is no measurement"


def test_a_collapsed_encoder_has_been_measured(record):
    summary = aggregate([record(status="collapsed", reason="no spread", metrics={"knn_top1": 0.1})])
    assert (row(summary)["knn_top1_mean"], row(summary)["status"]) == (0.1, "1 collapsed")


def test_a_metric_nobody_measured_has_no_column_beside_others_of_its_evaluator(record, metric):
    failed = {"status": "oom", "reason": "x", "metrics": {"few_label_top1": metric(None, reason="oom")}}
    good = {"metrics": {"few_label_top1@2": 0.5}}
    summary = aggregate([record(evaluator="few-label", **good), record("mae", evaluator="few-label", **failed)])
    assert [column.label for column in summary.metrics] == ["few_label_top1@2"]
    alone = aggregate([record("mae", evaluator="few-label", **failed)])
    assert [column.label for column in alone.metrics] == ["few_label_top1"]


def test_metrics_that_were_not_measured_are_listed_with_their_reason(record, metric):
    why = "fewer than 13 images of a class"
    metrics = {"few_label_top1@2": metric(0.5), "few_label_top1@13": metric(None, reason=why)}
    summary = aggregate([record(seed=seed, metrics=metrics) for seed in (0, 1)])
    assert summary.unmeasured == {("few_label_top1@13", why): 2}


def test_skipped_cells_are_counted_by_reason_and_not_in_the_table(record):
    skipped = [record("mae", seed=s, status="skipped", reason="no tokens", metrics={}) for s in range(3)]
    summary = aggregate([*skipped, record(), record("x", status="skipped", reason="no labels", metrics={})])
    assert summary.skipped == {"no tokens": 3, "no labels": 1}
    assert data_frame(summary)["method"].tolist() == ["simclr"]


def test_a_cell_made_again_by_newer_code_counts_once(record):
    old = record(metrics={"knn_top1": 0.1}, time="2026-01-01T00:00:00+00:00")
    new = record(metrics={"knn_top1": 0.9}, time="2026-01-02T00:00:00+00:00")
    for records in ([old, new], [new, old]):
        summary = aggregate(records)
        assert (row(summary)["knn_top1_mean"], row(summary)["knn_top1_n"], summary.older) == (0.9, 1, 1)


def test_images_that_were_left_out_are_counted_once_a_data_set(record):
    def cell(dataset, count, seed=0):
        return record(dataset=dataset, seed=seed, pretraining={"images_skipped": count})

    summary = aggregate([cell("mine", 3), cell("mine", 3, seed=1), cell("digits", 0)])
    assert summary.images_skipped == {"mine": 3}


def test_nothing_makes_an_empty_table(record):
    for records in ([], [record(status="skipped", reason="x", metrics={})]):
        summary = aggregate(records)
        assert len(data_frame(summary)) == 0
        assert summary.metrics == ()


def test_all_of_it_agrees_with_plain_arithmetic(default_suite):
    records = default_suite(seeds=(0, 1, 2))
    summary = aggregate(records)
    assert len(data_frame(summary)) == 8
    for _, line in data_frame(summary).iterrows():
        axes = ("method", "masking", "backbone")
        mine = [r for r in records if r.status == "done" and all(getattr(r, a) == line[a] for a in axes)]
        for column in summary.metrics:
            values = [r.metrics[column.name].value for r in mine if column.name in r.metrics]
            assert line[f"{column.label}_mean"] == pytest.approx(statistics.mean(values))
            assert line[f"{column.label}_std"] == pytest.approx(statistics.stdev(values))
        for quantity in SPEEDS:
            values = {r.seed: speed(r, quantity) for r in mine}.values()
            if None in values:
                assert math.isnan(line[f"{quantity}_mean"])
            else:
                assert line[f"{quantity}_mean"] == pytest.approx(statistics.mean(values))
                assert line[f"{quantity}_std"] == pytest.approx(statistics.stdev(values))


def test_metrics_at_ratios_are_in_the_order_of_the_ratios(record):
    names = [f"psnr@{ratio}" for ratio in ("0.9", "0.25", "0.75", "0.5")]
    summary = aggregate([record(evaluator="reconstruction", metrics=dict.fromkeys(names, 0.5))])
    assert [column.label for column in summary.metrics] == ["psnr@0.25", "psnr@0.5", "psnr@0.75", "psnr@0.9"]
