from __future__ import annotations

import shlex
from dataclasses import asdict, replace

import pytest

from sslbench.claims import all_claims as module
from sslbench.claims.all_claims import all_claims, negatives, published
from sslbench.claims.claim_row import NOT_MEASURED
from sslbench.claims.feature_quality import lejepa_loss, moco_queue, pretext_loss
from sslbench.claims.speed_up import TIMED, speed_up
from sslbench.cli.group import COMMANDS
from sslbench.hooks.registry import Registry
from sslbench.store.record import CurvePoint, DataFacts, MetricValue, Record, TrainingFacts
from sslbench.store.results import ResultsStore


def record(method="mae", ratio=0.75, seed=0, speed=300.0, batch=32, top1=0.9, queue_size=None, images=1000, **facts):
    return Record(
        cell="cell",
        status="done",
        method=method,
        masking="random" if method == "mae" else None,
        mask_ratio=ratio,
        dataset="digits",
        backbone="vit",
        augmentation="none",
        seed=seed,
        params={"method": {"queue_size": queue_size}, "training": {"batch_size": batch, "device": "cpu"}},
        metrics={"knn_top1": MetricValue(top1)},
        pretraining=TrainingFacts(**{"images_per_second": speed, **facts}),
        data=DataFacts(train_images=1000, test_images=images),
    )


@pytest.mark.parametrize(
    ("slow", "verdict"), [([90.0, 80.0], "holds"), ([110.0, 150.0], "fails"), ([90.0, 150.0], "undecided")]
)
def test_the_speed_up_is_tested_seed_by_seed(slow, verdict):
    records = [record(seed=seed) for seed in (0, 1)]
    records += [record(ratio=0.02, seed=seed, speed=speed) for seed, speed in enumerate(slow)]
    row = speed_up(records)
    assert (row.verdict, row.seeds) == (verdict, (0, 1))
    assert "times as fast" in row.measured


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record()],
        [record(ratio=0.02)],
        [record(), record(ratio=0.5)],
        [record(), record(ratio=0.02, seed=1)],
        [record(method="simclr", ratio=None)],
        [record(), record(ratio=0.02, speed=None)],
    ],
)
def test_a_speed_up_without_both_runs_is_not_measured(records):
    row = speed_up(records)
    assert row.verdict == NOT_MEASURED
    assert row.command == "sslbench speed && sslbench claims"
    assert row.measured.startswith("no finished run of MAE at a mask ratio of 0.75")


def timed(low, high, size="small", ratio=0.75, depth=1, names=("like for like",), method="mae"):
    return Record(
        cell="cell",
        status="done",
        kind="speed",
        method=method,
        seed=0,
        mask_ratio=ratio,
        backbone="vit",
        params={"method": {"decoder_depth": depth}, "backbone": {"size": size}},
        speed={
            "device": "cpu",
            "against": [{"baselines": list(names), "ratio": (low + high) / 2, "low": low, "high": high}],
        },
    )


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ([timed(3.1, 3.3)], "holds"),
        ([timed(2.7, 2.9)], "fails"),
        ([timed(2.9, 3.1)], "undecided"),
        ([timed(3.1, 3.3, "large"), timed(2.7, 2.9)], "undecided"),
        ([timed(3.1, 3.3), timed(6.0, 6.6, names=("as in the paper's table",))], "holds"),
        ([timed(3.1, 3.3), timed(1.0, 1.1, ratio=0.5)], "holds"),
    ],
)
def test_steps_that_were_timed_in_turn_go_before_trainings(records, verdict):
    trainings = [record(), record(ratio=0.02, speed=299.0)]
    row = speed_up(trainings, records)
    assert row.verdict == verdict
    ratio = records[0].speed["against"][0]
    low, high, size = ratio["low"], ratio["high"], records[0].params["backbone"]["size"]
    assert f"vit {size} on cpu, decoder depth 1: {(low + high) / 2:.2f} ({low:.2f} to {high:.2f})" in row.measured


def test_only_mae_with_mask_tokens_as_baseline_is_evidence():
    for one in (timed(3, 4, method="simclr"), timed(3, 4, ratio=0.5), timed(3, 4, names=("precision=fp32",))):
        assert speed_up([], [one]).verdict == NOT_MEASURED


@pytest.mark.parametrize(("small", "verdict"), [(0.89, "holds"), (0.95, "holds"), (0.85, "fails")])
def test_the_queue_is_tested_by_the_smallest_and_the_largest_batch(small, verdict):
    def moco(batch, top1, queue_size=64):
        return record("moco", None, batch=batch, top1=top1, queue_size=queue_size)

    records = [moco(256, 0.9), moco(32, small), moco(64, 0.1), moco(32, 0.0, queue_size=8)]
    assert moco_queue(records).verdict == verdict
    assert moco_queue(records[:1]).verdict == NOT_MEASURED


def trained(method, loss, top1, seed=0, curve=None, **more):
    key = f"{method}-{loss}-{seed}"
    return record(method, None, seed=seed, top1=top1, key=key, final_loss=loss, curve=curve, **more)


def curve_of(tops):
    """A loss that falls from epoch to epoch, and these top-1."""
    return tuple(CurvePoint(epoch, 1 / epoch, {"knn_top1": MetricValue(top)}) for epoch, top in enumerate(tops, 1))


@pytest.mark.parametrize(
    ("tops", "verdict"),
    [((0.9, 0.8, 0.7, 0.6), "fails"), ((0.6, 0.7, 0.8, 0.9), "holds"), ((0.9, 0.8, 0.6, 0.7), "fails")],
)
def test_whether_loss_ranks_methods_is_tested_seed_by_seed(tops, verdict):
    methods = ("simclr", "byol", "moco", "dino")
    records = [
        trained(method, loss + seed, top, seed)
        for seed in (0, 1)
        for method, loss, top in zip(methods, (1.0, 2.0, 3.0, 4.0), tops, strict=True)
    ]
    row = pretext_loss([*records, *records, trained("random-init", None, 0.5)])[0]
    assert (row.verdict, row.seeds) == (verdict, (0, 1))
    assert row.measured.startswith("rank correlation ")
    for few in (records[:3], [replace(one, method="simclr") for one in records], []):
        assert pretext_loss(few)[0].verdict == NOT_MEASURED


@pytest.mark.parametrize(("tops", "verdict"), [((0.1, 0.2, 0.3, 0.4), "fails"), ((0.1, 0.4, 0.3, 0.2), "holds")])
def test_whether_loss_ranks_epochs_is_tested_by_curves(tops, verdict):
    curve = curve_of(tops)
    recipes, epochs = pretext_loss([trained("simclr", 0.25, tops[-1], curve=curve), trained("byol", 1.0, 0.5)])
    assert epochs.verdict == verdict
    assert recipes.verdict == NOT_MEASURED
    assert pretext_loss([trained("simclr", 0.25, 0.4, curve=curve[:3])])[1].verdict == NOT_MEASURED


def test_the_curves_of_a_seed_are_tested_together():
    rising, falling = curve_of((0.1, 0.2, 0.3, 0.4)), curve_of((0.4, 0.3, 0.2, 0.1))
    row = pretext_loss([trained("simclr", 0.25, 0.4, curve=rising), trained("byol", 0.3, 0.1, curve=falling)])[1]
    assert row.verdict == "holds"
    assert row.measured.startswith("rank correlation 0 (-1 to 1)")


@pytest.mark.parametrize(
    ("tops", "verdict"),
    [((0.9, 0.8, 0.7, 0.6), "holds"), ((0.9, 0.7, 0.8, 0.6), "holds"), ((0.6, 0.7, 0.8, 0.9), "fails")],
)
def test_whether_lejepas_loss_ranks_recipes_is_tested_among_those_of_one_lambda(tops, verdict):
    def lejepa(loss, top1, seed=0, share=0.05, batch=32):
        one = trained("lejepa", loss, top1, seed)
        settings = {"batch_size": batch, "epochs": round(10 * loss)}
        return replace(one, params={"method": {"sigreg": share}, "training": settings})

    losses = (1.0, 2.0, 3.0, 4.0)
    records = [lejepa(loss, top, seed) for seed in (0, 1) for loss, top in zip(losses, tops, strict=True)]
    row = lejepa_loss([*records, *records, trained("byol", 0.5, 0.1)])
    assert (row.verdict, row.seeds) == (verdict, (0, 1))
    others = [lejepa(0.5, 0.0, share=0.1), lejepa(0.6, 0.0, batch=64), replace(records[0], dataset="shapes")]
    assert lejepa_loss([*records, *others]).measured == row.measured
    for few in ([*records[:3], others[0]], [*records[:3], others[1]], []):
        assert lejepa_loss(few).verdict == NOT_MEASURED


def test_recipes_that_are_about_equally_good_tell_nothing():
    tops = (0.93, 0.94, 0.945, 0.952)
    methods = ("simclr", "byol", "moco", "dino")

    def rows(images):
        records = [
            replace(trained(method, loss, top, seed), data=DataFacts(train_images=1000, test_images=images))
            for seed in (0, 1)
            for method, loss, top in zip(methods, (1.0, 2.0, 3.0, 4.0), tops, strict=True)
        ]
        gaussian = [replace(one, method="lejepa", params={"method": {}, "training": {}}) for one in records]
        curves = [trained("simclr", 0.25, 0.9, seed, curve_of(tops), images=images) for seed in (0, 1)]
        return [pretext_loss(records)[0], lejepa_loss(gaussian), pretext_loss(curves)[1]]

    for row in rows(287):
        assert row.verdict == "undecided"
        assert row.measured.endswith("the best and the worst are not told apart; true on 0 of 2 seeds, unknown on 2")
    assert [row.verdict for row in rows(5000)] == ["holds", "fails", "fails"]


def test_negatives_are_counted_in_the_loss(monkeypatch):
    row = negatives(Registry())
    assert row.verdict == "holds"
    assert "N = 2: 2.0, N = 8: 14.0, N = 32: 62.0, N = 128: 254.0" in row.measured
    monkeypatch.setattr("sslbench.claims.all_claims.negatives_per_anchor", lambda method, images, size: images - 1)
    assert negatives(Registry()).verdict == "fails"


def test_negatives_without_the_method(monkeypatch):
    monkeypatch.setenv("SSLBENCH_PLUGINS", "nothing")
    row = negatives(Registry())
    assert row.verdict == NOT_MEASURED
    assert "unknown method 'simclr'" in row.measured


def test_the_published_number_is_that_of_another_protocol():
    row = published()
    assert row.verdict == "fails"
    assert "the authors give 86.5 linear and 83.5 for k-NN; 83.5 is their k-NN" in row.measured
    assert published(86.5).verdict == "holds"


def test_every_claim_has_evidence_and_a_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSLBENCH_PLUGINS", "simulator.label-bottleneck,method.simclr,backbone.convnet-small")
    rows = all_claims(registry=Registry())
    assert len(rows) == 8
    for row in rows:
        data = asdict(row)
        assert list(data) == ["statement", "source", "expected", "measured", "verdict", "seeds", "command"]
        assert all(data[key] for key in data if key != "seeds")
        for command in row.command.split(" && "):
            assert shlex.split(command)[:2] in [["sslbench", name] for name in COMMANDS]
    assert [row.verdict for row in rows].count(NOT_MEASURED) == 5
    assert rows[0].command == "sslbench simulate label-bottleneck"
    assert all_claims(7, registry=Registry())[0].command == "sslbench simulate label-bottleneck --seed 7"


def test_measured_speeds_are_found_beside_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSLBENCH_PLUGINS", "simulator.label-bottleneck")
    with ResultsStore.open_for_writing(tmp_path / "sslbench-results/mae-speedup") as store:
        store.put(timed(3.2, 3.4), suite="s", description="a", inputs={})
    rows = {row.statement: row.verdict for row in all_claims(registry=Registry())}
    assert rows[TIMED.statement] == "holds"


def test_finished_runs_are_found_where_run_leaves_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert module.usual_folders() == []
    folder = tmp_path / "sslbench-results/mae-tokens"
    with ResultsStore.open_for_writing(folder) as store:
        for number, one in enumerate((record(), record(ratio=0.02, speed=50.0), replace(record(), status="failed"))):
            store.put(replace(one, cell=str(number)), suite="s", description=str(number), inputs={})
    assert [len(module.done_records(one)) for one in module.usual_folders()] == [2]
    assert speed_up(module.done_records(folder)).measured == "6 times as fast; true on 1 of 1 seeds"
