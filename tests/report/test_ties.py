"""What is marked as the best, what as not told apart from it, and by which test."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sslbench.report import comparisons
from sslbench.report.aggregate import aggregate
from sslbench.report.comparisons import over_seeds
from sslbench.report.tables import render
from sslbench.report.view import View
from sslbench.statistics.images import mcnemar_exact
from sslbench.store.artifacts import pretraining_files
from sslbench.store.record import DataFacts
from sslbench.train.checkpoint import save_tensors
from tests.report.test_tables import detailed


def marks(records, folder=None, metric="m"):
    """Methods that are marked as the best, and as not told apart from it."""
    view = View(aggregate(records), folder)
    names = [recipe.row.name("method") for recipe in view.aggregate.recipes]
    return tuple({names[row] for row in rows[metric]} for rows in (view.ranking.best, view.ranking.ties))


def seeded(record, values):
    """Records of method -> values by seed, or a list of one a seed."""
    return [
        record(method, seed=seed, metrics={"m": value})
        for method, own in values.items()
        for seed, value in (own.items() if isinstance(own, dict) else enumerate(own))
    ]


@pytest.fixture
def over_images(record, tmp_path):
    """Makes records of one seed from the images that each method has right, kept or not."""

    def make(right, dtype=np.uint8, keep=True, seed=0):
        records = [
            record(name, seed=seed, metrics={"m": float(np.mean(images, dtype=float))})
            for name, images in right.items()
        ]
        for one in records if keep else ():
            path = pretraining_files(tmp_path, one.pretraining.key).per_image(one.cell)
            path.parent.mkdir(parents=True)
            save_tensors(path, {"m": torch.tensor(np.asarray(right[one.method], dtype=dtype))}, {})
        return records

    return make


def wrong_at(*images, count=360):
    right = np.ones(count, dtype=np.uint8)
    right[list(images)] = 0
    return right


def test_methods_are_compared_over_the_seeds_that_both_have():
    found = over_seeds({0: 0.9, 1: 0.8, 5: 0.1}, {1: 0.7, 0: 0.6, 7: 0.0})
    assert (round(found.mean, 6), found.n) == (0.2, 2)
    assert over_seeds({0: 0.9}, {1: 0.9}) is None


def test_a_tie_is_what_the_paired_test_does_not_tell_apart(record):
    best = (0.90, 0.95, 0.92, 0.97)
    shifted = [value - 0.01 - 0.0001 * seed for seed, value in enumerate(best)]
    noisy = [value - (0.2, -0.1, 0.0, 0.1)[seed] for seed, value in enumerate(best)]
    # The spread over seeds is larger than the shift; seed by seed the shift is sure.
    assert marks(seeded(record, {"a": best, "b": shifted, "c": noisy, "d": best})) == ({"a", "d"}, {"c"})


@pytest.mark.parametrize(("seeds", "ties"), [(2, {"b"}), (5, {"b"}), (6, set())])
def test_of_a_difference_that_is_the_same_on_every_seed_the_signs_are_believed(record, seeds, ties):
    """Two equal classifiers differ by the same number of images on both seeds once in twenty times."""
    best = [0.5 + seed / 64 for seed in range(seeds)]
    records = seeded(record, {"a": best, "b": [value - 0.25 for value in best]})
    assert marks(records) == ({"a"}, ties)
    text = " ".join(detailed(records).split())
    assert "the signs of a difference that is the same on every seed" in text


def test_many_rivals_need_more_evidence(record):
    best = (0.90, 0.91, 0.92, 0.93)
    close = (0.86, 0.89, 0.88, 0.92)  # p = 0.035
    far = [value - 0.5 + 0.001 * seed for seed, value in enumerate(best)]
    weak = [value - (0.1, -0.1, 0.2, -0.19)[seed] for seed, value in enumerate(best)]
    assert marks(seeded(record, {"a": best, "b": close})) == ({"a"}, set())
    assert marks(seeded(record, {"a": best, "b": close, "c": far})) == ({"a"}, set()), "what is sure costs nothing"
    assert marks(seeded(record, {"a": best, "b": close, "c": weak})) == ({"a"}, {"b", "c"})


def test_one_image_of_one_seed_tells_nothing_apart(over_images, tmp_path):
    """.983 over .981 of 360 images."""
    records = over_images({"a": wrong_at(*range(6)), "b": wrong_at(*range(7)), "c": wrong_at(*range(40))})
    assert marks(records, tmp_path) == ({"a"}, {"b"})
    text = " ".join(detailed(records, tmp_path).split())
    assert "=: not told apart from the best (McNemar's exact test over the test images of one seed; p at least" in text
    assert "over test images: says nothing of other seeds" in text


def test_all_pairs_that_the_best_could_have_been_of_are_counted(over_images, tmp_path):
    """Six images that only the best has right: alone enough, among three rows not."""
    assert mcnemar_exact(6, 0) < 0.05 < 3 * mcnemar_exact(6, 0)
    right = {"a": wrong_at(), "b": wrong_at(*range(6))}
    assert marks(over_images(right), tmp_path) == ({"a"}, set())
    more = over_images({"c": wrong_at(1, 2), **{f"{name}{name}": images for name, images in right.items()}})
    assert marks(more, tmp_path) == ({"aa"}, {"bb", "c"})


def test_shares_of_one_seed_are_compared_by_the_bootstrap(over_images, tmp_path):
    shares = np.random.default_rng(0).random(200)
    records = over_images({"a": shares, "b": shares - 0.1, "c": shares[::-1] - 1e-3}, np.float16)
    assert marks(records, tmp_path) == ({"a"}, {"c"})
    assert "a bootstrap over the test images of one seed" in " ".join(detailed(records, tmp_path).split())


def test_without_the_metric_of_each_image_nothing_of_one_seed_is_told_apart(over_images, tmp_path):
    records = over_images({"a": wrong_at(), "b": wrong_at(*range(300))}, keep=False)
    for folder in (None, tmp_path):
        assert marks(records, folder) == ({"a"}, {"b"})
        text = " ".join(detailed(records, folder).split())
        assert "=: not told apart from the best (untested, for the metric of each image is not kept or the" in text


def test_seeds_that_change_nothing_leave_the_images(over_images, tmp_path):
    """Models that somebody else trained."""
    right = {"a": wrong_at(0), "b": wrong_at(0, 1), "c": wrong_at(*range(30))}
    records = [*over_images(right), *over_images(right, keep=False, seed=1)]
    assert marks(records, tmp_path) == ({"a"}, {"b"})


def test_data_sets_of_one_name_and_other_content_are_not_compared(record, tmp_path):
    values = {"a": (0.9, 0.91, 0.92), "b": (0.1, 0.11, 0.13)}
    records = seeded(record, values)
    assert marks(records) == ({"a"}, set())
    facts = {"a": DataFacts(10, 10, fingerprint="x"), "b": DataFacts(10, 10, fingerprint="y")}
    for one in records:
        object.__setattr__(one, "data", facts[one.method])
    assert marks(records) == (set(), set())


def test_files_are_read_once_each_and_not_at_all_where_seeds_tell(record, over_images, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(comparisons, "read_per_image", lambda path: read.append(path) or {})
    render(seeded(record, {"a": (0.9, 0.8, 0.7), "b": (0.5, 0.45, 0.35)}), "table", "s", tmp_path)
    assert read == []
    records = over_images({name: wrong_at(index) for index, name in enumerate("abcd")})
    render(records, "csv", "s", tmp_path)
    assert read == []
    render(records, "table", "s", tmp_path)
    assert len(read) == len(set(read)) == 4
