from __future__ import annotations

import gc
import json
import math
import weakref
from dataclasses import replace

import pytest
import torch

from sslbench.errors import UserError
from sslbench.execute.events import PretrainingStarted, Warned
from sslbench.hooks.registry import Registry
from sslbench.measure.ceilings import Ceilings
from sslbench.measure.comparison import Comparison
from sslbench.measure.timing import Timing, WarmUp
from sslbench.speed import bench, preparation, run as module
from sslbench.speed.bench import SpeedBench
from sslbench.speed.budget import Budget
from sslbench.speed.facts import LargestBatch, SpeedFacts
from sslbench.speed.measurement import Measurement
from sslbench.speed.plan import SpeedPlan
from sslbench.speed.preparation import BenchSettings
from sslbench.speed.record import verdict
from sslbench.speed.rows import Pair
from sslbench.speed.run import SpeedRequest, prepare, speed
from sslbench.speed.suite import Expected
from sslbench.store.results import ResultsStore

SUITE = """
name = "mini"
[speed]
image_size = 8
batch_sizes = [4]
steps = 10
warmup = 2
[axes]
method = ["mae:decoder_dim=16,decoder_depth=1,decoder_heads=2"]
backbone = ["vit-tiny-small-image:dim=16,depth=1,heads=2"]
masking = ["random:ratio=0.75"]
[[baselines]]
name = "full"
change = { "method.mask_tokens_in_encoder" = true }
note = "the encoder sees all"
[[published]]
where = { "masking.ratio" = 0.75 }
against = "full"
ratio = 2.8
words = "42.4 h / 15.4 h"
[expected]
statement = "3 to 4 times"
low = 3
high = 4
against = ["full"]
where = { "masking.ratio" = 0.75, "method.mask_tokens_in_encoder" = false }
"""
CHIP = Ceilings("chip", 1, "2.14", {"fp32": 1e11}, 1e10, "2026-01-01T00:00:00+00:00", False)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ceilings", lambda device, processor, report: CHIP)
    monkeypatch.setattr("sslbench.measure.timing.PAUSE", (0.0, 0.0))
    monkeypatch.setattr("sslbench.measure.comparison.SLOT_MS", 0.0)
    (tmp_path / "mini.toml").write_text(SUITE)


def measured(suite="mini.toml", events=None, **request):
    return speed(SpeedRequest(suite, **request), None if events is None else events.append, Registry())


def facts(record):
    return SpeedFacts.from_json(json.loads(json.dumps(record.speed, allow_nan=False)))


def statuses(outcome):
    return [record.status for record in outcome.records]


def test_a_suite_leaves_a_record_for_each_row_and_its_samples(tmp_path):
    events = []
    outcome = measured(events=events)
    assert (outcome.exit_code, outcome.suite, str(outcome.out)) == (0, "mini", "sslbench-results/mini")
    full, masked = outcome.records
    assert (full.params["method"]["mask_tokens_in_encoder"], facts(full).baseline_of) == (True, ("full",))
    timed = facts(masked)
    assert timed.patches == (48, 64)
    assert timed.images_per_second == pytest.approx(4000 / timed.median_ms)
    assert timed.utilisation == pytest.approx(timed.flops_per_image * timed.images_per_second / 1e11)
    (ratio,) = timed.against
    assert ratio.low <= ratio.ratio <= ratio.high
    assert ratio.flop_bound == facts(full).flops_per_image / timed.flops_per_image > 1
    assert ratio.share_of_bound == pytest.approx(ratio.ratio / ratio.flop_bound)
    assert [(source.ratio, source.words) for source in ratio.published] == [(2.8, "42.4 h / 15.4 h")]
    assert ratio.verdict in ("holds", "undecided", "fails: below 3", "fails: above 4")
    assert masked.pretraining.images_per_second == timed.images_per_second
    assert math.isfinite(timed.final_loss)
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert [record.cell for record in store.records()] == [full.cell, masked.cell]
        samples = store.steps(masked.cell)
    assert len(samples) == timed.steps >= 10
    assert sorted(samples)[len(samples) // 2] == pytest.approx(timed.median_ms, rel=0.5)
    names = [event.name for event in events if isinstance(event, PretrainingStarted)]
    assert names == ["mae random vit-tiny-small-image"]
    json.dumps([record.to_json() for record in outcome.records], allow_nan=False)


def test_measuring_again_takes_the_place_of_what_was_measured(tmp_path):
    cells = [record.cell for record in measured().records]
    assert [record.cell for record in measured().records] == cells
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert len(store.records()) == 2


def test_with_a_data_set_it_is_measured_end_to_end_too():
    outcome = measured(
        axes={"dataset": ["shapes:train_images=16,test_images=2,image_size=16"], "masking": ["random:ratio=0.5"]}
    )
    assert [record.dataset for record in outcome.records] == ["shapes", "shapes"]
    for record in outcome.records:
        pipeline = facts(record).end_to_end
        assert pipeline.images_per_second > 0
        assert 0 <= pipeline.data_wait_share <= 1
        assert record.augmentation == "mae"
    # No claim is made about another ratio.
    assert [ratio.verdict for record in outcome.records for ratio in facts(record).against] == [None]


def test_a_data_set_smaller_than_the_batch_leaves_the_step_and_says_why():
    outcome = measured(axes={"dataset": ["shapes:train_images=2,test_images=2,image_size=16"]})
    (_, record) = outcome.records
    assert record.status == "done"
    assert facts(record).end_to_end is None
    assert record.reason == "end to end: the training split has 2 images, fewer than a batch"
    assert facts(record).images_per_second > 0


def test_the_largest_batch_is_said_where_it_is_asked_for(monkeypatch):
    sizes = []
    build = preparation.build_step
    monkeypatch.setattr(
        preparation,
        "build_step",
        lambda row, device, size=None, **options: sizes.append(size) or build(row, device, size, **options),
    )
    limits = [facts(record).largest_batch for record in measured(find_batch=True).records]
    assert set(sizes) == {None, 4, 12}
    assert all("images" in limit.how for limit in limits)


def test_the_search_runs_a_compiled_step_eagerly_and_rows_share_the_time_that_is_left(monkeypatch):
    given = []

    def found(build, device, seconds):
        given.append((build(4).settings.compile, seconds))
        return LargestBatch(4, "tried")

    monkeypatch.setattr(bench, "largest_batch", found)
    monkeypatch.setattr(Budget, "left", 60.0)
    _, _, plan = prepare(SpeedRequest("mini.toml"), Registry())
    rows = [Measurement(replace(row, compile=how)) for row, how in zip(plan.rows, ("compile", "eager"), strict=True)]
    settings = BenchSettings(torch.device("cpu"), warmup=0, steps=1, find_batch=True)
    SpeedBench(settings, Budget(60.0, 0, {}), print)._find_batches(rows)
    assert given == [(False, 30.0), (False, 60.0)]
    assert [row.largest_batch.how for row in rows] == [f"tried; {bench.EAGERLY}", "tried"]


def test_baselines_of_the_command_line_replace_the_suites():
    outcome = measured(baselines=[{"masking.ratio": 0.5}], settings={"precisions": ["fp32"]})
    assert [record.mask_ratio for record in outcome.records] == [0.5, 0.75]
    (ratio,) = facts(outcome.records[1]).against
    assert ratio.baselines == ("masking.ratio=0.5",)
    # What the suite says of its own baseline is not said of another.
    assert (ratio.verdict, ratio.published) == (None, ())


def test_what_cannot_be_built_is_reported_and_the_rest_measured():
    outcome = measured(axes={"backbone": ["vit-tiny-small-image:dim=16,depth=1,heads=2", "vit:size=tiny"]})
    assert outcome.exit_code == 1
    states = [(record.backbone, record.status) for record in outcome.records]
    assert states.count(("vit", "failed")) == 2
    assert states.count(("vit-tiny-small-image", "done")) == 2
    failed = next(record for record in outcome.records if record.status == "failed")
    assert "image size 8 is not divisible by patch_size = 16" in failed.reason
    assert failed.pretraining.images_per_second is None


def test_a_step_that_trains_nothing_is_a_failure_and_spoils_no_other(monkeypatch):
    build = preparation.build_step

    def lazy(row, device, size=None, **options):
        step = build(row, device, size, **options)
        if not row.value("method.mask_tokens_in_encoder"):
            step.update.optimizer.step = lambda *args, **kwargs: None
        return step

    monkeypatch.setattr(preparation, "build_step", lazy)
    outcome = measured()
    assert statuses(outcome) == ["done", "failed"]
    assert "parameter tensors changed in the timed run" in outcome.records[1].reason
    assert facts(outcome.records[0]).images_per_second > 0


def test_rows_that_do_not_fit_into_memory_together_are_timed_in_parts(monkeypatch):
    """Three rows and their baseline; there is room for two."""
    build, there = preparation.build_step, []

    def full(row, device, size=None, **options):
        if len(there) >= 2:
            raise torch.OutOfMemoryError("no room")
        there.append(row.mask_ratio)
        return build(row, device, size, **options)

    monkeypatch.setattr(preparation, "build_step", full)
    chunks = []

    class Chunked(SpeedBench):
        def _time(self, chunk, group, pairs):
            chunks.append(len(chunk))
            super()._time(chunk, group, pairs)
            there.clear()

    monkeypatch.setattr(module, "SpeedBench", Chunked)
    outcome = measured(axes={"masking": ["random:ratio=0.25", "random:ratio=0.5", "random:ratio=0.75"]})
    assert statuses(outcome) == ["done"] * 6
    assert max(chunks) == 2
    assert all(len(timed.against) == 1 for timed in map(facts, outcome.records) if not timed.baseline_of)


def test_a_row_that_fits_without_its_baseline_is_timed_and_not_compared(monkeypatch):
    """There is room for one row at a time, and a row that was measured makes room for the next."""
    build, alive = preparation.build_step, []

    def one_at_a_time(row, device, size=None, **options):
        gc.collect()
        if any(method() is not None for method in alive):
            raise torch.OutOfMemoryError("no room")
        built = build(row, device, size, **options)
        alive.append(weakref.ref(built.method))
        return built

    monkeypatch.setattr(preparation, "build_step", one_at_a_time)
    outcome = measured()
    assert statuses(outcome) == ["done"] * 2
    assert all(facts(record).median_ms > 0 for record in outcome.records)
    row = next(record for record in outcome.records if not facts(record).baseline_of)
    assert facts(row).against == ()
    assert row.reason == "not compared: there is no room in memory beside its baseline"
    assert outcome.exit_code == 0


def test_a_row_that_never_fits_is_out_of_memory(monkeypatch):
    def never(row, device, size=None, **options):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(preparation, "build_step", never)
    outcome = measured()
    assert statuses(outcome) == ["oom", "oom"]
    assert outcome.exit_code == 1


def test_a_row_that_is_left_out_keeps_what_was_measured_before(monkeypatch, tmp_path):
    done = measured().records
    monkeypatch.setattr(Budget, "step_seconds", lambda self, row: 10.0)
    assert set(statuses(measured(settings={"seconds": 30}))) == {"skipped"}
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert [record.status for record in store.records()] == [record.status for record in done]


def test_a_row_that_was_never_measured_is_stored_with_why_it_was_left_out(monkeypatch, tmp_path):
    def statuses_stored():
        with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
            return [(record.status, (record.reason or "")[:8]) for record in store.records()]

    with monkeypatch.context() as patch:
        patch.setattr(Budget, "step_seconds", lambda self, row: 10.0)
        for seconds in (30, 20):
            measured(settings={"seconds": seconds})
        assert statuses_stored() == [("skipped", "left out")] * 2
    measured()
    assert [status for status, _ in statuses_stored()] == ["done", "done"]


def test_rows_that_do_not_fit_into_the_budget_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(Budget, "step_seconds", lambda self, row: 10.0)
    outcome = measured(settings={"seconds": 30})
    assert outcome.exit_code == 0
    assert statuses(outcome) == ["skipped", "skipped"]
    assert (
        outcome.records[0].reason
        == "left out: with what is not timed yet it takes about 220 s, and 30 s of 30 are left (--seconds)"
    )


def test_within_the_budget_all_have_their_turn():
    assert set(statuses(measured(settings={"seconds": 60}))) == {"done"}


def test_a_method_without_training_is_skipped():
    outcome = measured(axes={"method": ["random-init"]})
    assert [(record.status, record.reason) for record in outcome.records] == [
        ("skipped", "random-init takes no training step")
    ]
    assert outcome.exit_code == 0


def test_an_interrupt_keeps_what_is_finished(monkeypatch):
    measure = SpeedBench.measure
    calls = []

    def interrupted(self, group, pairs):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        measure(self, group, pairs)

    monkeypatch.setattr(SpeedBench, "measure", interrupted)
    outcome = measured(axes={"method": ["simclr", "byol"]})
    assert outcome.exit_code == 130
    assert [record.method for record in outcome.records] == ["simclr"]


def test_results_that_cannot_be_stored_are_returned(tmp_path):
    (tmp_path / "file").write_text("")
    events = []
    outcome = measured(events=events, out=tmp_path / "file/below")
    assert outcome.exit_code == 3
    assert statuses(outcome) == ["done", "done"]
    assert any(isinstance(event, Warned) for event in events)


def test_fp16_and_cuda_are_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--precision fp16 needs a GPU"):
        prepare(SpeedRequest("mini.toml", settings={"precisions": ["fp16"]}))
    with pytest.raises(UserError, match="--device cuda: "):
        prepare(SpeedRequest("mini.toml", settings={"device": "cuda"}))
    for baseline in ("tf32", "fp16"):
        with pytest.raises(UserError, match=f"--precision {baseline} needs a GPU; allowed on a CPU: auto, fp32, bf16"):
            prepare(SpeedRequest("mini.toml", baselines=[{"precision": baseline}]))


def test_cuda_graphs_are_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda-graphs", "compile+cuda-graphs"):
        with pytest.raises(UserError) as refused:
            prepare(SpeedRequest("mini.toml", settings={"compile": [name]}))
        assert str(refused.value) == f"--compile {name} needs a GPU; allowed on a CPU: eager, compile"


def test_cuda_graphs_are_refused_in_fp16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    settings = {"compile": ["cuda-graphs"], "precisions": ["fp32", "fp16"], "device": "cuda"}
    with pytest.raises(
        UserError, match="--compile cuda-graphs with --precision fp16: allowed are the other precisions"
    ):
        prepare(SpeedRequest("mini.toml", settings=settings))


def test_rows_that_are_compared_are_one_group():
    plan = SpeedPlan((None,) * 6, (Pair(1, 0, ("a",)), Pair(2, 1, ("b",)), Pair(4, 5, ("a",))), (), None)
    assert sorted(map(sorted, plan.groups)) == [[0, 1, 2], [3], [4, 5]]


WARM = WarmUp(10, True, 1.0, None, 1.0, None, None)
ONE = Timing(1, (1.0,), WARM, 1.0, None, None, 1.0)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "noise", "word"),
    [
        (3.5, 3.3, 3.7, 0.01, "holds"),
        (3.1, 2.9, 3.3, 0.01, "undecided"),
        (2.5, 2.4, 2.6, 0.01, "fails: below 3"),
        (6.3, 6.0, 6.6, 0.01, "fails: above 4"),
        (3.1, 3.05, 3.15, 0.05, "undecided"),
        (2.95, 2.94, 2.96, 0.05, "undecided"),
    ],
)
def test_the_verdict_comes_from_the_interval_and_the_noise(ratio, low, high, noise, word):
    comparison = Comparison(ratio, low, high, noise, ONE, ONE)
    assert verdict(comparison, Expected(statement="3 to 4 times", low=3, high=4, against=["full"])) == word
