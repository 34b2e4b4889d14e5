from __future__ import annotations

import pytest
from scipy import stats

from sslbench.report.aggregate import aggregate
from sslbench.report.sections.correlations import correlations
from sslbench.report.view import View

LOSS = (5.0, 4.0, 6.0, 3.0, 2.0)
RANK = (10.0, 30.0, 20.0, 40.0, 35.0)
TOP1 = (0.5, 0.7, 0.55, 0.8, 0.6)


def training(record, method, seed, loss, rank, top1):
    pretraining = {"final_loss": loss}
    return [
        record(method, seed, "knn", {"knn_top1": top1}, pretraining=pretraining, features={"spread": top1 / 2}),
        record(method, seed, "label-free", {"rank_me": rank}, pretraining=pretraining, features={"spread": top1 / 2}),
    ]


def rows(records):
    section = correlations(View(aggregate(records)))
    return {(row["over"], row["quantity"], row["probe"]): row for row in section.rows}, section


def test_loss_spread_and_label_free_metrics_are_correlated_with_the_probe_over_all_trainings(record):
    records = [
        one
        for seed, values in enumerate(zip(LOSS, RANK, TOP1, strict=True))
        for one in training(record, "simclr", seed, *values)
    ]
    lines, _ = rows(records)
    assert [key[1] for key in lines] == ["pretext loss", "spread of features", "rank_me"]
    for quantity, values in (("pretext loss", LOSS), ("rank_me", RANK)):
        row = lines["all trainings", quantity, "knn_top1"]
        assert (row["n"], row["curves"], row["dataset"]) == (5, 0, "digits")
        assert row["spearman"] == pytest.approx(stats.spearmanr(values, TOP1).statistic)
        expected = stats.pearsonr(values, TOP1)
        assert row["pearson"] == pytest.approx(expected.statistic)
        assert (row["pearson_low"], row["pearson_high"]) == pytest.approx(expected.confidence_interval())
    spread = lines["all trainings", "spread of features", "knn_top1"]
    assert (spread["spearman"], spread["spearman_low"], spread["spearman_high"]) == (1.0, None, None)


def test_methods_have_lines_of_their_own_where_they_have_four_trainings(record):
    records = [one for s in range(4) for one in training(record, "simclr", s, LOSS[s], RANK[s], TOP1[s])]
    records += [one for s in range(3) for one in training(record, "byol", s, -LOSS[s], RANK[s], TOP1[s])]
    lines, section = rows(records)
    assert {key[0] for key in lines} == {"all trainings", "simclr"}
    assert lines["all trainings", "pretext loss", "knn_top1"]["n"] == 7
    assert any("3 pairs of quantity and probe are left out" in note for note in section.notes)


def test_three_trainings_in_all_are_shown_without_an_interval(record):
    records = [one for s in range(3) for one in training(record, "simclr", s, LOSS[s], RANK[s], TOP1[s])]
    row = rows(records)[0]["all trainings", "pretext loss", "knn_top1"]
    assert (row["n"], row["spearman"], row["spearman_low"]) == (3, pytest.approx(-0.5), None)


def test_untrained_methods_have_no_loss_and_take_part_in_the_rest(record):
    records = [one for s in range(4) for one in training(record, "simclr", s, LOSS[s], RANK[s], TOP1[s])]
    records += training(record, "random-init", 0, None, 5.0, 0.3)
    lines, _ = rows(records)
    assert lines["all trainings", "pretext loss", "knn_top1"]["n"] == 4
    assert lines["all trainings", "rank_me", "knn_top1"]["n"] == 5


def with_curve(record, seed, losses, tops, ranks=None):
    def entry(value, evaluator):
        return {"value": value, "unit": "", "higher_is_better": True, "evaluator": evaluator}

    points = [
        {
            "epoch": epoch,
            "loss": loss,
            "metrics": {
                "knn_top1": entry(top, "knn"),
                "rank_me": entry(ranks[epoch - 1] if ranks else None, "label-free"),
            },
        }
        for epoch, (loss, top) in enumerate(zip(losses, tops, strict=True), 1)
    ]
    return record(seed=seed, metrics={"knn_top1": tops[-1]}, pretraining={"curve": points, "final_loss": losses[-1]})


def test_curves_are_correlated_over_their_epochs_seed_by_seed(record):
    records = [
        with_curve(record, 0, (4, 3, 2, 1), (0.1, 0.2, 0.3, 0.4), (1, 2, 4, 3)),
        with_curve(record, 1, (4, 3, 2, 1), (0.1, 0.3, 0.2, 0.4), (1, 2, 3, 4)),
    ]
    lines, section = rows(records)
    row = lines["epochs of simclr", "pretext loss", "knn_top1"]
    assert (row["n"], row["curves"], row["spearman"], row["spearman_low"]) == (4, 2, pytest.approx(-0.9), None)
    assert lines["epochs of simclr", "rank_me", "knn_top1"]["spearman"] == pytest.approx(0.8)
    assert ("all trainings", "pretext loss", "knn_top1") not in lines
    assert any("depend on each other, so there is no interval" in note for note in section.notes)


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [("few-label", "no probe among the evaluators (knn, linear-probe)"), ("knn", "fewer than 3 trainings, and no")],
)
def test_what_is_missing_is_reported(record, evaluator, words):
    _, section = rows([record(evaluator=evaluator, metrics={"m": 0.5})])
    assert not section.rows
    assert words in section.title
