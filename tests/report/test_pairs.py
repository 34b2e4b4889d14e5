from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from sslbench.report.aggregate import aggregate
from sslbench.report.sections.pairs import pairs
from sslbench.report.view import View
from sslbench.statistics.intervals import pooled_t
from sslbench.store.artifacts import pretraining_files
from sslbench.train.checkpoint import save_tensors


def compared(records, folder):
    section = pairs(View(aggregate(records), folder))
    return {row["other"]: row for row in section.rows}, section


def keep(folder, record, metric, values, dtype=np.uint8):
    path = pretraining_files(folder, record.pretraining.key).per_image(record.cell)
    path.parent.mkdir(parents=True)
    save_tensors(path, {metric: torch.tensor(np.asarray(values, dtype=dtype))}, {})


def test_recipes_are_compared_with_the_best_over_the_same_seeds(record, tmp_path):
    values = {"a": (0.92, 0.94, 0.93), "b": (0.93, 0.92, 0.92), "c": (0.80, 0.81, 0.80)}
    records = [record(m, seed=s, metrics={"knn_top1": v}) for m, many in values.items() for s, v in enumerate(many)]
    rows, section = compared(records[::-1], tmp_path)
    assert list(rows) == ["b", "c"]
    tests = {name: stats.ttest_rel(values[name], values["a"]) for name in rows}
    for name, row in rows.items():
        assert (row["best"], row["n"], row["test"]) == ("a", 3, "paired t over seeds (3)")
        assert row["difference"] == pytest.approx(np.mean(values[name]) - 0.93)
        assert (row["low"], row["high"]) == pytest.approx(tests[name].confidence_interval())
        assert row["p"] == pytest.approx(tests[name].pvalue)
    # The best could have been of three pairs; the least is p of the pair times the root of the number of rivals.
    pooled = [p for p, _ in pooled_t([values[name] for name in "abc"])]
    assert 3 * pooled[1] < 2**0.5 * rows["c"]["p"]
    assert rows["c"]["p_corrected"] == pytest.approx(2**0.5 * rows["c"]["p"])
    assert rows["b"]["p_corrected"] == pytest.approx(max(pooled[0], 2**0.5 * rows["b"]["p"]))
    assert [row["verdict"] for row in rows.values()] == ["tie", "worse"]
    assert any("tells what other seeds would show" in note for note in section.notes)


def test_lower_is_better_where_it_is(record, metric, tmp_path):
    def lost(value):
        return {"rmse": metric(value, higher=False)}

    records = [record(m, seed=s, metrics=lost(v + s / 100)) for m, v in (("a", 0.5), ("b", 0.2)) for s in range(2)]
    rows, _ = compared(records, tmp_path)
    assert rows["a"]["best"] == "b"
    assert rows["a"]["difference"] == pytest.approx(0.3)


def test_where_neither_is_better_there_is_no_best_to_compare_with(record, metric, tmp_path):
    records = [record(m, metrics={"alpha": metric(v, higher=None)}) for m, v in (("a", 0.5), ("b", 0.2))]
    assert compared(records, tmp_path)[0] == {}


def test_one_seed_is_compared_over_the_test_images(record, tmp_path):
    right = {"a": [1] * 18 + [0] * 2, "b": [1] * 7 + [0] * 11 + [1, 0], "c": [1] * 17 + [0] * 3}
    records = [record(m, metrics={"knn_top1": sum(images) / 20}) for m, images in right.items()]
    for one in records:
        keep(tmp_path, one, "knn_top1", right[one.method])
    rows, section = compared(records, tmp_path)
    assert rows["b"]["test"] == "McNemar over images (20)"
    assert rows["b"]["p"] == pytest.approx(stats.binomtest(1, 12, 0.5).pvalue)
    assert rows["b"]["difference"] == pytest.approx(-0.5)
    assert rows["b"]["low"] < -0.5 < rows["b"]["high"] < 0
    assert [rows[name]["verdict"] for name in "cb"] == ["tie", "worse"]
    assert any("tells nothing of other seeds" in note for note in section.notes)


def test_without_seeds_and_images_nothing_is_tested(record, tmp_path):
    rows, section = compared([record("a", metrics={"m": 0.9}), record("b", metrics={"m": 0.5})], tmp_path)
    assert (rows["b"]["verdict"], rows["b"]["p"], rows["b"]["test"]) == ("not tested", None, None)
    assert rows["b"]["difference"] == pytest.approx(-0.4)
    assert any(note.startswith("not tested: fewer than two seeds in common") for note in section.notes)
    apart, _ = compared([record("a", metrics={"m": 0.9}), record("b", seed=1, metrics={"m": 0.5})], tmp_path)
    assert apart["b"]["verdict"] == "not tested"


def test_a_difference_without_spread_is_tested_over_the_images(record, tmp_path):
    records = [record(m, seed=s, metrics={"m": v}) for m, v in (("a", 0.75), ("b", 0.25)) for s in range(2)]
    for one in records:
        keep(tmp_path, one, "m", [1, 1, 1, 0] if one.method == "a" else [0, 0, 0, 1])
    rows, _ = compared(records, tmp_path)
    assert rows["b"]["test"] == "McNemar over images (4)"


@pytest.mark.parametrize("images", [([1, 0], [1, 0, 0]), ([1.0, 0.0], [np.nan, 1.0])])
def test_images_of_another_number_or_without_a_value_are_not_paired(record, tmp_path, images):
    records = [record("a", metrics={"m": 0.5}), record("b", metrics={"m": 0.4})]
    for one, values in zip(records, images, strict=True):
        keep(tmp_path, one, "m", values, np.float16)
    assert compared(records, tmp_path)[0]["b"]["verdict"] == "not tested"


def test_what_was_evaluated_on_other_images_is_left_out(record, tmp_path):
    other = {**record().params["training"], "evaluate_on": "validation"}
    records = [record("a", metrics={"m": 0.9}), record("b", metrics={"m": 0.5}, params={"training": other})]
    records.append(record("c", metrics={"m": 0.4}))
    rows, section = compared(records, tmp_path)
    assert list(rows) == ["c evaluate_on=test"]
    assert "1 left out: evaluated on other images than the best" in section.notes


def test_one_recipe_has_no_rival(record, tmp_path):
    _, section = compared([record()], tmp_path)
    assert (list(section.rows), section.title) == (
        [],
        "pairs: each recipe against the best of its metric: fewer than two recipes to compare",
    )
