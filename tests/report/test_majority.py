from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from sslbench.report.tables import render
from sslbench.store.record import DataFacts
from tests.report.test_tables import grid, markdown_rows

PHOTOS = DataFacts(80, 200, "all", 2, "healthy", 0.9667, 64, classes_evaluated=2)


@pytest.fixture
def photos(record):
    """Two recipes on one data set, of which one is worse than a constant answer."""

    def make(method, value, facts=PHOTOS, **others):
        metrics = {"knn_top1": value, "knn_balanced": value / 2}
        return replace(record(method, metrics=metrics, dataset="photos", **others), data=facts)

    return make


def test_a_constant_answer_is_a_row_below_the_recipes_and_never_the_best(photos):
    rows = grid(render([photos("simclr", 0.97), photos("byol", 0.90)], "table", "", details=True))
    assert [(row["method"], row["knn_top1"]) for row in rows] == [
        ("simclr", "*0.970"),
        ("byol", "=0.900"),
        ("majority", "0.967"),
    ]
    assert [row["knn_balanced"] for row in rows] == ["*0.485", "=0.450", "0.500"]
    assert rows[-1]["img/s"] == "-"


def test_markdown_has_the_row_as_well(photos):
    rows = markdown_rows(render([photos("simclr", 0.97), photos("byol", 0.90)], "markdown", ""))
    assert (rows[-1]["method"], rows[-1]["knn_top1"]) == ("majority", "0.967")


def test_csv_has_it_as_columns_of_each_recipe(photos):
    (row,) = csv.DictReader(io.StringIO(render([photos("simclr", 0.97)], "csv", "")))
    assert (row["train_images"], row["test_images"], row["classes"]) == ("80", "200", "2")
    assert row["majority_share"] == "0.9667"


def test_each_data_set_has_its_own_below_its_rows(photos, record):
    digits = DataFacts(1437, 360, "test", 10, "3", 0.103, 8, classes_evaluated=10)
    other = [replace(record(method), data=digits) for method in ("simclr", "byol")]
    rows = grid(render([*other, photos("simclr", 0.97), photos("byol", 0.9)], "table", ""))
    assert [row["dataset"] for row in rows] == ["digits"] * 3 + ["photos"] * 3
    assert [(row["method"], row["knn_top1"]) for row in rows if row["method"] == "majority"] == [
        ("majority", "0.103"),
        ("majority", "0.967"),
    ]


def test_the_largest_class_of_other_images_is_a_row_of_its_own(photos):
    fewer = replace(PHOTOS, test_images=16, majority_share=0.75)
    rows = grid(render([photos("simclr", 0.97), photos("byol", 0.9, fewer)], "table", ""))
    assert [row["knn_top1"] for row in rows if row["method"] == "majority"] == ["0.967", "0.750"]


def test_records_that_do_not_say_what_they_looked_at_have_no_such_row(photos):
    text = render([photos("simclr", 0.97, None), photos("byol", 0.9, None)], "table", "")
    assert "majority" not in text
    assert [row["method"] for row in grid(text)] == ["simclr", "byol"]


def test_a_table_without_an_accuracy_has_no_such_row(record):
    facts = replace(PHOTOS, majority_share=0.5)
    text = render([replace(record(metrics={"rankme": 12.0, "top10_error": 0.1}), data=facts)], "table", "")
    assert "majority" not in text


@pytest.mark.parametrize(
    "metric", ["top1", "few_label_top1@2", "few_label_top1@1%", "scratch_top1@13", "from_scratch_top1", "mine_top1"]
)
def test_every_accuracy_on_class_labels_has_it(record, metric):
    rows = grid(render([replace(record(metrics={metric: 0.9}), data=PHOTOS)], "table", ""))
    assert (rows[-1]["method"], rows[-1][metric]) == ("majority", "0.967")


def test_a_metric_of_something_else_has_none(record):
    metrics = {"top1": 0.9, "gain@2": 0.1, "map": 0.4}
    rows = grid(render([replace(record(metrics=metrics), data=PHOTOS)], "table", ""))
    assert (rows[-1]["top1"], rows[-1]["gain@2"], rows[-1]["map"]) == ("0.967", "-", "-")


def test_what_was_looked_at_and_what_to_know_of_it_stand_with_the_table(photos):
    few = replace(PHOTOS, test_images=20, duplicates=3)
    text = render([photos("simclr", 0.97, few)], "table", "quick")
    assert "photos: 80 images to train on, 20 others held out to evaluate on (97% are 'healthy'), 2 classes" in text
    assert "3 of 20 images to evaluate on equal images to train on" in " ".join(text.split())
    assert "20 images to evaluate on can show no difference in accuracy below 30 points" in text


def test_the_batch_that_was_used_is_in_the_title_with_its_steps(photos):
    trained = photos("simclr", 0.97, pretraining={"batch_size": 80, "epochs": 20, "steps": 20})
    title = render([trained], "table", "quick").split("\n\n")[1]
    assert "batch 80 (asked for 128: there are no more images) · 1 step an epoch, 20 in all" in " ".join(title.split())


def test_a_batch_that_tells_rows_apart_is_said_as_it_was_used(photos):
    first, second = (
        photos("simclr", 0.97, seed=seed, pretraining={"batch_size": 80, "epochs": 20, "steps": 20}) for seed in (0, 1)
    )
    params = {**second.params, "training": {**second.params["training"], "batch_size": 64}}
    used = replace(second.pretraining, batch_size=64)
    text = " ".join(render([first, replace(second, params=params, pretraining=used)], "table", "quick").split())
    assert "batch_size=128: batch 80 (asked for 128: there are no more images)" in text
    assert "batch_size=64: batch" not in text
