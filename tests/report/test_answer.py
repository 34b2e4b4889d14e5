"""The sentences that answer the question, case by case."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sslbench.report.aggregate import aggregate
from sslbench.report.answer import answer
from sslbench.report.view import View
from sslbench.store.current import Unfinished
from sslbench.store.record import DataFacts

DIGITS = DataFacts(1437, 360, "test", 10, "3", 0.103, 8, classes_evaluated=10)
SPEED = {"seconds": 10.0, "images_per_second": 1100.0}
UNTRAINED = {"steps": 0, "epochs": 0, "seconds": 0.0}
BASELINES = {
    "random-init": {"augmentation": None, "pretraining": UNTRAINED},
    "raw-pixels": {"augmentation": None, "backbone": None, "pretraining": UNTRAINED},
}


@pytest.fixture
def seeded(record):
    """Records from method -> one value of ``knn_top1`` a seed; the baselines as runs make them."""

    def make(values, facts=DIGITS, metric="knn_top1", **others):
        return [
            replace(
                record(
                    method.split()[0],
                    seed=seed,
                    metrics={metric: value},
                    **{"pretraining": SPEED, "features": {"images_per_second": 23000.0}}
                    | others
                    | BASELINES.get(method, {}),
                ),
                data=facts,
                headline=metric,
            )
            for method, own in values.items()
            for seed, value in enumerate(own)
        ]

    return make


def said(records, **others):
    return answer(View(aggregate(records), **others))


GOOD, EQUAL, BAD = (0.90, 0.91, 0.92), (0.91, 0.90, 0.92), (0.50, 0.51, 0.53)


def test_the_best_is_named_with_no_training_the_pixels_the_evidence_and_the_cost(seeded):
    lines = said(
        seeded({"simclr": GOOD, "byol": (0.8, 0.82, 0.81), "random-init": BAD, "raw-pixels": (0.6, 0.62, 0.61)})
    )
    assert lines == [
        "simclr is the best of 2 methods on digits by knn_top1: 91.0% ± 1.0, 39.7 points above no training"
        " (random-init; p below 0.001) and 30.0 points above the pixels (raw-pixels; p below 0.001), measured on 360"
        " images with 3 seeds.",
        "simclr trains in 10.0 s (1100 images/s) and embeds 23000 images/s.",
    ]


def test_what_is_not_told_apart_is_named_and_the_cheapest_of_it(seeded):
    records = seeded({"simclr": GOOD, "random-init": BAD, "raw-pixels": BAD})
    records += seeded({"byol": EQUAL}, pretraining={"seconds": 7.0})
    records += seeded({"dino": (0.3, 0.31, 0.3)}, pretraining={"seconds": 1.0})
    first, ties, cheapest, *_ = said(records)
    assert first.startswith("simclr comes first of 3 methods on digits by knn_top1, not told apart from 1 other: 91.0%")
    assert ties == "Not told apart from it: byol 91.0% ± 1.0."
    assert cheapest == "Of these 2 byol is the cheapest to train, 7.00 s against 10.0."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20.0, "Of these 2 it is the cheapest to train."),
        (10.5, "These 2 cost about the same to train, 10.0 s."),
        (9.5, "These 2 cost about the same to train, 9.50 s."),
        (None, None),
    ],
)
def test_costs_that_differ_by_little_are_called_the_same(seeded, seconds, words):
    records = seeded({"simclr": GOOD}) + seeded({"byol": EQUAL}, pretraining={"seconds": seconds})
    assert [line for line in said(records) if "to train" in line] == ([words] if words else [])


def test_what_is_cheapest_by_little_is_not_called_so(seeded):
    records = seeded({"simclr": GOOD}) + seeded({"byol": EQUAL}, pretraining={"seconds": 9.5})
    records += seeded({"dino": EQUAL}, pretraining={"seconds": 20.0})
    assert "Of these 3 none is clearly cheaper to train." in said(records)


def test_where_all_are_ties_none_is_called_the_best(seeded):
    first, ties, *_ = said(seeded(dict.fromkeys(("a", "b", "c", "d", "e"), GOOD)))
    assert first.startswith("No test tells the 5 methods on digits apart by knn_top1; a comes first: 91.0%")
    assert ties == "Not told apart from it: b 91.0% ± 1.0, c 91.0% ± 1.0, d 91.0% ± 1.0 and 1 more."


def test_no_training_that_may_be_as_good_is_called_so(seeded):
    (first, *_) = said(seeded({"simclr": (0.7, 0.6, 0.8), "random-init": (0.69, 0.61, 0.75), "raw-pixels": BAD}))
    assert "not told apart from no training (random-init; 1.7 points behind; p " in first
    assert first.startswith("simclr on digits has a knn_top1 of 70.0% ± 10.0, ")


def test_where_the_pixels_come_first_no_method_is_recommended(seeded):
    records = seeded({"raw-pixels": GOOD, "simclr": (0.91, 0.9, 0.9), "byol": (0.6, 0.62, 0.6), "random-init": BAD})
    lines = said(records)
    assert lines[0] == (
        "No method on digits is better than the pixels (raw-pixels) by knn_top1: 91.0% ± 1.0, measured on 360 images"
        " with 3 seeds."
    )
    assert lines[1] == (
        "Of 2 methods 1 is not told apart from it, 1 is worse; the first is simclr with 90.3% ± 0.6, 39.0 points above"
        " no training (random-init; p 0.001)."
    )
    assert lines[2].startswith("simclr trains in 10.0 s")


def test_baselines_alone_are_no_methods(seeded):
    (first, *_) = said(seeded({"raw-pixels": GOOD, "random-init": BAD}))
    assert first == (
        "Nothing but baselines was measured on digits; the first is the pixels (raw-pixels) by knn_top1: 91.0% ± 1.0,"
        " 39.7 points above no training (random-init; p below 0.001), measured on 360 images with 3 seeds."
    )


def test_missing_baselines_come_with_the_options_that_add_them(seeded):
    assert "Not measured beside it: no training and the pixels (-m random-init -m raw-pixels)." in said(
        seeded({"simclr": GOOD, "byol": BAD})
    )
    assert "Not measured beside it: the pixels (-m raw-pixels)." in said(seeded({"simclr": GOOD, "random-init": BAD}))


def test_no_training_of_another_network_is_none_of_this_one(seeded):
    records = seeded({"simclr": GOOD, "raw-pixels": BAD}) + seeded({"random-init": BAD}, backbone="x")
    records = [replace(r, backbone="vit") if r.method == "random-init" else r for r in records]
    assert "Not measured beside it: no training (-m random-init)." in said(records)


def test_pixels_that_an_evaluator_cannot_take_are_not_asked_for(seeded, record):
    skipped = record("raw-pixels", status="skipped", reason="raw-pixels has no tokens", metrics={})
    lines = said([*seeded({"simclr": GOOD, "random-init": BAD}), skipped])
    assert not any("Not measured beside it" in line for line in lines)


def test_models_of_others_are_no_baselines_and_have_no_untrained_network(seeded):
    records = seeded({"pretrained": GOOD, "raw-pixels": BAD}, backbone=None, pretraining=UNTRAINED)
    records = [replace(r, inputs={"weights": "abc"}) if r.method == "pretrained" else r for r in records]
    lines = said(records)
    first, *others = lines
    assert first.startswith(
        "pretrained on digits has a knn_top1 of 91.0% ± 1.0, 39.7 points above the pixels (raw-pixels; p "
    )
    assert others == ["pretrained needs no training and embeds 23000 images/s."]


def test_chance_is_seldom_called_a_difference(seeded):
    """Tables of equal rows: one in a hundred has a sentence that tells any apart (400 tables, of 2, 3 and 5 seeds)."""
    source = random.Random(0)
    names = ("a", "b", "c", "d", "random-init", "raw-pixels")
    claims = 0
    for _ in range(40):
        values = {name: [source.gauss(0.9, 0.01) for _ in range(3)] for name in names}
        text = " ".join(said(seeded(values)))
        claims += any(words in text for words in ("is the best", "points above", "worse"))
    assert claims <= 2


def test_one_seed_that_nothing_can_test_is_called_untested(seeded):
    lines = said(seeded({"simclr": GOOD[:1], "byol": BAD[:1], "random-init": BAD[:1]}))
    assert lines[0] == (
        "simclr comes first of 2 methods on digits by knn_top1, which may be chance, for nothing could be tested:"
        " 90.0%, 40.0 points above no training (random-init; not tested), measured on 360 images with 1 seed."
    )
    assert lines[-1] == "Seeds were not varied, and others may give another order: --seeds 0,1,2."


def test_two_seeds_and_different_numbers_of_seeds_are_said(seeded):
    records = seeded({"simclr": GOOD[:2], "byol": (0.9, 0.5)})
    assert said(records)[-1] == "Two seeds tell hardly anything apart: --seeds 0-4."
    assert "1 to 3 seeds" in said(seeded({"simclr": GOOD, "byol": BAD[:1]}))[0]


@pytest.mark.parametrize(
    ("axis", "one", "other", "noun"),
    [
        ("augmentation", "crop-only", "none", "2 augmentations"),
        ("masking", "random", "block", "2 maskings"),
        ("backbone", "convnet-small", "vit", "2 backbones"),
    ],
)
def test_the_axis_that_varies_gives_its_name(seeded, axis, one, other, noun):
    records = seeded({"mae": GOOD}, **{axis: one}) + seeded({"mae": BAD}, **{axis: other})
    assert said(records)[0].startswith(f"{one} is the best of {noun} for mae on digits by knn_top1: ")


def test_other_networks_have_a_sentence_each(seeded):
    records = seeded({"simclr": GOOD, "random-init": BAD, "raw-pixels": BAD})
    others = seeded({"simclr": (0.8, 0.81, 0.8), "random-init": (0.6, 0.6, 0.61)})
    worse = seeded({"simclr": (0.3, 0.31, 0.3), "random-init": BAD})
    records += [replace(r, backbone="vit") for r in others] + [replace(r, backbone="tiny") for r in worse]
    lines = said(records)
    on_vit = "On vit the first is simclr vit with 80.3% ± 0.6, 20.0 points above no training (random-init vit; p "
    assert f"{on_vit}below 0.001)." in lines
    assert lines[0].startswith("convnet-small is the best of 3 backbones for simclr on digits")
    assert "On tiny nothing is better than no training (random-init tiny): 51.3% ± 1.5." in lines


def test_a_metric_that_picks_another_is_named_and_one_that_agrees_is_not(seeded):
    records = seeded({"simclr": GOOD, "byol": (0.8, 0.81, 0.8), "raw-pixels": BAD, "random-init": BAD})

    def more(ahead, metric):
        values = {name: GOOD if name == ahead else BAD for name in ("simclr", "byol", "raw-pixels")}
        return [replace(r, evaluator=metric, cell=r.cell + metric) for r in seeded(values, metric=metric)]

    records += [*more("byol", "linear_top1"), *more("simclr", "retrieval_map")]
    assert [line for line in said(records) if line.startswith("By ")] == [
        "By linear_top1 byol comes first: 91.0% ± 1.0, 39.7 points above simclr (p below 0.001) and 39.7 points above"
        " the pixels (raw-pixels; p below 0.001)."
    ]
    records += [record for n in range(3) for record in more("byol", f"m{n}_top1")]
    assert [line.partition(" byol")[0] for line in said(records) if line.startswith("By ")] == [
        "By linear_top1",
        "By m0_top1",
        "By 2 more metrics another comes first as well.",
    ]


def test_less_is_better_where_it_is_and_numbers_keep_their_unit(seeded, metric):
    records = seeded({"a": (0.2, 0.21, 0.2), "b": (0.4, 0.42, 0.4), "random-init": (0.9, 0.91, 0.91)}, metric="rmse")
    records = [replace(r, metrics={"rmse": metric(r.metrics["rmse"].value, "m", higher=False)}) for r in records]
    assert said(records)[0].startswith(
        "a is the best of 2 methods on digits by rmse: 0.203 ± 0.006 m, 0.703 m better than no training (random-init;"
    )


def test_each_data_set_has_a_sentence_and_many_are_counted(seeded):
    records = [
        replace(r, dataset=f"set{n}", cell=f"{r.cell}{n}")
        for n in range(7)
        for r in seeded(
            {"byol" if n == 2 else "simclr": GOOD, "dino": BAD, "random-init": BAD, "raw-pixels": (0.4, 0.42, 0.4)}
        )
    ]
    first, *lines = said(records)
    assert first == "First place on 7 data sets: simclr on 6, byol on 1."
    assert [line.partition(":")[0] for line in lines[:5]] == [
        f"{'byol' if n == 2 else 'simclr'} is the best of 2 methods on set{n} by knn_top1" for n in range(5)
    ]
    assert lines[5:] == ["2 more data sets are in the table."]


def test_doubts_about_several_data_sets_are_said_once_and_constant_answers_at_theirs(seeded):
    facts = DataFacts(80, 200, "all", 2, "healthy", 0.967, 64, classes_evaluated=2)
    records = seeded({"simclr": GOOD[:1], "byol": BAD[:1]}) + seeded({"simclr": GOOD[:1]}, facts, dataset="photos")
    _, digits, photos, *doubts = said(records)
    assert digits.startswith("simclr comes first of 2 methods on digits by knn_top1, which may be chance")
    assert photos.endswith("with 1 seed. That is no better than always the same answer, which gets 96.7%.")
    assert doubts == [
        "Not measured beside it: no training and the pixels (-m random-init -m raw-pixels).",
        "Seeds were not varied, and others may give another order: --seeds 0,1,2.",
    ]


def test_data_sets_of_which_nothing_can_be_said_are_said_to_be_so(record):
    failed = [record(dataset=name, status="failed", metrics={}, reason="x") for name in ("one", "two")]
    assert said(failed)[:2] == [
        "First place on 2 data sets: nothing can be said of any.",
        "Nothing can be said of one: no cell is done (1 failed).",
    ]


def test_rows_that_could_not_be_tested_are_counted(seeded):
    records = seeded({"simclr": GOOD, "byol": BAD, "dino": (0.1, 0.12, 0.1), "moco": BAD[:1]})
    assert said(records)[0].startswith(
        "simclr comes first of 4 methods on digits by knn_top1, which may be chance, for 1 of them could not be tested:"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.96, "That is no better than always the same answer, which gets 96.7%."),
        (0.97, "That it is better than always the same answer, which gets 96.7%, may be chance."),
        (1.0, None),
    ],
)
def test_a_constant_answer_that_is_as_good_is_said_at_once(seeded, value, words):
    facts = DataFacts(80, 200, "all", 2, "healthy", 0.967, 64, classes_evaluated=2)
    second = said(seeded({"simclr": (value,) * 3, "random-init": (0.9,) * 3}, facts))[1]
    assert second == words if words else "the same answer" not in second


def test_features_that_collapsed_are_said(seeded):
    records = [replace(r, status="collapsed", reason="x") for r in seeded({"simclr": GOOD})]
    assert "91.0% ± 1.0, its features collapsed, measured" in said(records)[0]


def test_what_failed_or_is_not_run_is_counted(seeded, record):
    records = [*seeded({"simclr": GOOD}), record("byol", status="oom", metrics={}, reason="x")]
    lines = said(records, unfinished=[Unfinished("s", None, 14, 10)])
    assert lines[-2:] == ["That is so far: 10 of 14 cells are not run yet.", "1 cell of 4 gave no result: 1 oom."]


def test_where_nothing_is_done_nothing_is_said(record):
    failed = [record(m, status="failed", metrics={}, reason="x") for m in ("simclr", "byol")]
    assert said(failed) == ["Nothing can be said of digits: no cell is done (2 failed)."]
    assert said([]) == ["There are no results."]
    skipped = [record(status="skipped", metrics={}, reason="no tokens")]
    assert said(skipped) == ["There are no results: 1 cell of plugins that do not work together."]
    assert said([record(metrics={})]) == ["Nothing can be said of digits: no metric was measured."]


def test_metrics_of_which_neither_direction_is_better_rank_nothing(record, metric):
    records = [record(m, metrics={"alpha": metric(v, higher=None)}) for m, v in (("a", 0.5), ("b", 0.2))]
    assert said(records) == [
        "Nothing can be said of digits but what is in the table: of alpha neither more nor less is better."
    ]
