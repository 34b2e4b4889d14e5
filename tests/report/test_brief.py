"""The table that is seen first: what it keeps, what it leaves out, and what it says of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslbench.report.screen import PAGE, Page
from sslbench.report.tables import render
from tests.report.test_tables import crowded, grid  # noqa: F401


@pytest.fixture
def on_terminal():
    """A rendering for a terminal of so many columns."""

    def make(records, width, **others):
        token = PAGE.set(Page(width, whole=False))
        try:
            return render(records, "table", "quick", **others)
        finally:
            PAGE.reset(token)

    return make


def below(text):
    """The legend below the table, and what is not shown, in one line."""
    return " ".join(text.rpartition("---\n")[2].split("\n\n")[1].split())


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["knn top1", "train s"]),
        (80, ["knn_top1", "linear_top1", "train s"]),
        (100, ["knn_top1", "linear_top1", "few_label top1@2", "few_label top1@13", "train s"]),
        (140, ["knn_top1", "linear_top1", "few_label top1@2", "few_label top1@13", "train s", "img/s"]),
    ],
)
def test_a_terminal_gets_what_it_has_room_for_and_is_told_of_the_rest(default_suite, on_terminal, width, columns):
    text = on_terminal(default_suite((0, 1, 2)), width)
    assert max(map(len, text.split("\n"))) <= width
    (row, *others) = [line for line in grid(text) if line["train s"]]
    assert len(others) == 7
    shown = [name for name in row if name not in ("method", "masking", "backbone", "method masking")]
    assert [name.replace("_", " ") for name in shown][: len(columns)] == [name.replace("_", " ") for name in columns]
    assert "not shown: " in below(text)
    assert below(text).endswith("(--details has all)")
    assert "wait %" not in row


def test_a_wide_terminal_gets_the_columns_of_note_and_no_more(default_suite, on_terminal):
    text = on_terminal(default_suite((0, 1, 2)), 300)
    assert list(grid(text)[0])[3:] == [
        "knn_top1",
        "linear_top1",
        "few_label_top1@2",
        "few_label_top1@13",
        "train s",
        "img/s",
        "embed img/s",
        "peak MB",
    ]
    assert " ± 0." in text
    assert "not shown: step ms (IQR), wait %, MFLOP/img (--details has all)" in below(text)


def test_a_file_gets_all_columns_of_note(default_suite):
    (row, *_) = grid(render(default_suite((0, 1, 2)), "table", "quick"))
    assert {"few_label top1@13", "train s", "embed img/s"} <= row.keys()
    assert not {"wait %", "step ms (IQR)", "MFLOP/img"} & row.keys()


def test_details_have_every_column_and_what_it_means(default_suite, on_terminal):
    text = on_terminal(default_suite((0,)), 200, details=True)
    assert {"wait %", "step ms (IQR)", "MFLOP/img"} <= grid(text)[0].keys()
    assert "MFLOP/img: 10^6 floating-point operations" in text
    assert "not shown" not in text


def test_the_answer_stands_before_everything_with_its_sentences_below_it(default_suite, on_terminal):
    first, second, *_ = on_terminal(default_suite((0, 1, 2)), 80).split("\n\n")
    assert first.startswith("No recipe on digits is better than no training (random-init")
    assert all(line.startswith("  ") for line in first.split("\n")[3:])
    assert second.startswith("quick: digits · seeds 0, 1, 2")


def test_the_legend_is_of_what_is_shown_alone_and_names_exceptions(record, metric, on_terminal):
    def lost(value):
        return metric(value, "m", higher=False)

    records = [
        record(
            method,
            seed,
            metrics={"rmse": metric(value + seed / 100, "m", higher=False), "alpha": metric(1.0, higher=None)},
        )
        for method, value in (("a", 0.1), ("b", 0.5))
        for seed in (0, 1, 2)
    ]
    text = below(on_terminal(records, 100))
    assert text.startswith("* best of its column; = not told apart from it (test over seeds); ± deviation over 3 seeds")
    assert "rmse [m]: lower is better alpha: neither is better" in text
    assert "img/s" not in text, "nothing of it was measured"
    assert "higher is better" not in text


def test_a_value_that_no_test_could_tell_apart_is_called_so(record, on_terminal):
    text = below(on_terminal([record("a"), record("b", metrics={"knn_top1": 0.1})], 100))
    assert "= not told apart from it (or not tested)" in text


def test_metrics_with_a_table_of_their_own_are_counted(crowded, on_terminal):  # noqa: F811
    text = on_terminal(crowded, 100)
    assert "the 5 metrics of invariance (--details has all)" in below(text)
    assert "readable_hue" not in text


def test_many_rows_are_cut_on_a_terminal_and_counted_and_baselines_stay(record, on_terminal):
    untrained = {"augmentation": None, "pretraining": {"steps": 0, "epochs": 0, "seconds": 0.0}}
    records = [
        record(metrics={"knn_top1": 1 - lr / 1000}, params={"method": {"lr": lr}}, dataset=dataset)
        for lr in range(50)
        for dataset in ("one", "two")
    ]
    records.append(record("random-init", metrics={"knn_top1": 0.1}, dataset="one", **untrained))
    text = on_terminal(records, 100)
    rows = grid(text)
    assert [row["method"] for row in rows if row["dataset"] == "one"][-2:] == ["simclr (lr=19)", "random-init"]
    assert sum(row["dataset"] == "two" for row in rows) == 20
    assert "60 rows (--details has all)" in below(text)
    assert len(grid(render(records, "table", "s"))) == len(grid(on_terminal(records, 100, details=True))) == 101


def test_what_went_wrong_stays_and_is_counted_where_it_is_long(record, on_terminal):
    records = [record(metrics={"knn_top1": 0.9})]
    records += [record(f"m{n}", status="failed", reason=f"no {n}", metrics={}) for n in range(9)]
    text = on_terminal(records, 80)
    assert "not done:\n  m0, seed 0: failed: no 0\n" in text
    assert "  m4, seed 0: failed: no 4\n  and 4 more (--details has all)" in text
    assert grid(text)[0]["status"] == "1 done"
    assert "m8, seed 0: failed: no 8" in on_terminal(records, 80, details=True)


def test_speeds_that_were_measured_beside_others_are_called_so(record, on_terminal):
    records = [replace(record("simclr", pretraining={"at_once": 4, "seconds": 3.0}))]
    assert "up to 4 pretrainings shared a device" in below(on_terminal(records, 80))
