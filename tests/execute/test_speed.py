from __future__ import annotations

import gc
import json
import math
import weakref
from dataclasses import replace

import pytest
import torch

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.measure.ceilings import Ceilings
from sslbench.measure.comparison import Comparison
from sslbench.measure.timing import Timing, WarmUp
from sslbench.speed import bench as speed_bench
from sslbench.speed import run as module
from sslbench.speed.record import verdict
from sslbench.speed.rows import Pair, SpeedPlan
from sslbench.speed.run import SpeedRequest, grouped, prepare, speed
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
    monkeypatch.setattr(module, "ceilings", lambda device, processor, say: CHIP)
    monkeypatch.setattr("sslbench.measure.evidence.PAUSE", (0.0, 0.0))
    (tmp_path / "mini.toml").write_text(SUITE)


def measured(suite="mini.toml", events=None, **request):
    return speed(SpeedRequest(suite, **request), None if events is None else events.append, Registry())


def test_a_suite_leaves_a_record_for_each_row_and_its_samples(tmp_path):
    events = []
    outcome = measured(events=events)
    assert (outcome.exit_code, outcome.suite, str(outcome.out)) == (0, "mini", "sslbench-results/mini")
    full, masked = outcome.records
    assert [full["params"]["method"]["mask_tokens_in_encoder"], full["speed"]["baseline_of"]] == [True, ["full"]]
    found = masked["speed"]
    assert found["patches"] == (48, 64)
    assert found["images_per_second"] == pytest.approx(4000 / found["median_ms"])
    assert found["utilisation"] == pytest.approx(found["flops_per_image"] * found["images_per_second"] / 1e11)
    (against,) = found["against"]
    assert against["low"] <= against["ratio"] <= against["high"]
    assert against["flop_bound"] == full["speed"]["flops_per_image"] / found["flops_per_image"] > 1
    assert against["share_of_bound"] == pytest.approx(against["ratio"] / against["flop_bound"])
    assert against["published"] == [{"ratio": 2.8, "words": "42.4 h / 15.4 h"}]
    assert against["verdict"] in ("holds", "undecided", "fails: below 3", "fails: above 4")
    assert masked["pretraining"]["images_per_second"] == found["images_per_second"]
    assert math.isfinite(found["final_loss"])
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert [r["cell"] for r in store.records()] == [full["cell"], masked["cell"]]
        samples = store.steps(masked["cell"])
    assert len(samples) == found["steps"] >= 10
    assert sorted(samples)[len(samples) // 2] == pytest.approx(found["median_ms"], rel=0.5)
    assert [event.facts.get("name") for event in events if "name" in event.facts] == ["mae random vit-tiny-small-image"]
    json.dumps(outcome.records, allow_nan=False)


def test_measuring_again_takes_the_place_of_what_was_measured(tmp_path):
    cells = [record["cell"] for record in measured().records]
    assert [record["cell"] for record in measured().records] == cells
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert len(store.records()) == 2


def test_with_a_data_set_it_is_measured_end_to_end_too():
    outcome = measured(
        axes={"dataset": ["shapes:train_images=16,test_images=2,image_size=16"], "masking": ["random:ratio=0.5"]}
    )
    assert [record["dataset"] for record in outcome.records] == ["shapes", "shapes"]
    for record in outcome.records:
        ends = record["speed"]["end_to_end"]
        assert ends["images_per_second"] > 0
        assert 0 <= ends["data_wait_share"] <= 1
        assert record["augmentation"] == "mae"
    # No claim is made about another ratio.
    assert [a["verdict"] for record in outcome.records for a in record["speed"]["against"]] == [None]


def test_a_data_set_smaller_than_the_batch_leaves_the_step_and_says_why():
    outcome = measured(axes={"dataset": ["shapes:train_images=2,test_images=2,image_size=16"]})
    (_, record) = outcome.records
    assert record["status"] == "done"
    assert record["speed"]["end_to_end"] is None
    assert record["reason"] == "end to end: the training split has 2 images, fewer than a batch"
    assert record["speed"]["images_per_second"] > 0


def test_the_largest_batch_is_said_where_it_is_asked_for(monkeypatch):
    sizes = []
    build = speed_bench.build
    monkeypatch.setattr(
        speed_bench, "build", lambda row, device, size=None, **kw: sizes.append(size) or build(row, device, size, **kw)
    )
    limits = [record["speed"]["largest_batch"] for record in measured(find_batch=True).records]
    assert set(sizes) == {None, 4, 12}
    assert all("images" in limit["how"] for limit in limits)


def test_baselines_of_the_command_line_replace_the_suites():
    outcome = measured(baselines=[{"masking.ratio": 0.5}], settings={"precisions": ["fp32"]})
    assert [record["mask_ratio"] for record in outcome.records] == [0.5, 0.75]
    (against,) = outcome.records[1]["speed"]["against"]
    assert against["baselines"] == ["masking.ratio=0.5"]
    # What the suite says of its own baseline is not said of another.
    assert (against["verdict"], against["published"]) == (None, [])


def test_what_cannot_be_built_is_told_and_the_rest_measured():
    outcome = measured(axes={"backbone": ["vit-tiny-small-image:dim=16,depth=1,heads=2", "vit:size=tiny"]})
    assert outcome.exit_code == 1
    states = [(r["backbone"], r["status"]) for r in outcome.records]
    assert states.count(("vit", "failed")) == 2
    assert states.count(("vit-tiny-small-image", "done")) == 2
    failed = next(r for r in outcome.records if r["status"] == "failed")
    assert "image size 8 is not divisible by patch_size = 16" in failed["reason"]
    assert failed["pretraining"]["images_per_second"] is None


def test_a_step_that_trains_nothing_is_a_failure_and_spoils_no_other(monkeypatch):
    build = speed_bench.build

    def lazy(row, device, size=None, **options):
        one = build(row, device, size, **options)
        if not row.value("method.mask_tokens_in_encoder"):
            one.update.optimizer.step = lambda *args, **kwargs: None
        return one

    monkeypatch.setattr(speed_bench, "build", lazy)
    outcome = measured()
    assert [record["status"] for record in outcome.records] == ["done", "failed"]
    assert "parameter tensors changed in the timed run" in outcome.records[1]["reason"]
    assert outcome.records[0]["speed"]["images_per_second"] > 0


def test_rows_that_do_not_fit_into_memory_together_are_timed_in_parts(monkeypatch):
    """Three rows and their baseline; there is room for two."""
    build, there = speed_bench.build, []

    def full(row, device, size=None, **options):
        if len(there) >= 2:
            raise torch.OutOfMemoryError("no room")
        there.append(row.mask_ratio)
        return build(row, device, size, **options)

    monkeypatch.setattr(speed_bench, "build", full)
    release = speed_bench.release_unused
    chunks = []

    class Chunked(speed_bench.SpeedBench):
        def _time(self, chunk, found, pairs):
            chunks.append(len(chunk))
            super()._time(chunk, found, pairs)
            there.clear()

    monkeypatch.setattr(module, "SpeedBench", Chunked)
    monkeypatch.setattr(speed_bench, "release_unused", release)
    outcome = measured(axes={"masking": ["random:ratio=0.25", "random:ratio=0.5", "random:ratio=0.75"]})
    assert [record["status"] for record in outcome.records] == ["done"] * 6
    assert max(chunks) == 2
    assert all(len(r["speed"]["against"]) == 1 for r in outcome.records if not r["speed"]["baseline_of"])


def test_a_row_that_fits_without_its_baseline_is_timed_and_not_compared(monkeypatch):
    """There is room for one row at a time, and a row that was measured makes room for the next."""
    build, alive = speed_bench.build, []

    def one_at_a_time(row, device, size=None, **options):
        gc.collect()
        if any(method() is not None for method in alive):
            raise torch.OutOfMemoryError("no room")
        built = build(row, device, size, **options)
        alive.append(weakref.ref(built.method))
        return built

    monkeypatch.setattr(speed_bench, "build", one_at_a_time)
    outcome = measured()
    assert [record["status"] for record in outcome.records] == ["done"] * 2
    assert all(record["speed"]["median_ms"] > 0 for record in outcome.records)
    row = next(record for record in outcome.records if not record["speed"]["baseline_of"])
    assert row["speed"]["against"] == []
    assert row["reason"] == "not compared: there is no room in memory beside its baseline"
    assert outcome.exit_code == 0


def test_a_row_that_never_fits_is_out_of_memory(monkeypatch):
    def never(row, device, size=None, **options):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(speed_bench, "build", never)
    outcome = measured()
    assert [record["status"] for record in outcome.records] == ["oom", "oom"]
    assert outcome.exit_code == 1


def test_a_row_that_is_left_out_keeps_what_was_measured_before(monkeypatch, tmp_path):
    done = measured().records
    monkeypatch.setattr(module.SpeedSession, "step_seconds", lambda self, row, foreseen: 10.0)
    assert {record["status"] for record in measured(settings={"seconds": 30}).records} == {"skipped"}
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert [record["status"] for record in store.records()] == [record["status"] for record in done]


def test_rows_that_do_not_fit_into_the_budget_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(module.SpeedSession, "step_seconds", lambda self, row, foreseen: 10.0)
    outcome = measured(settings={"seconds": 30})
    assert outcome.exit_code == 0
    assert [record["status"] for record in outcome.records] == ["skipped", "skipped"]
    assert (
        outcome.records[0]["reason"]
        == "left out: with what is not timed yet it takes about 220 s, and 30 s of 30 are left (--seconds)"
    )


def test_within_the_budget_all_have_their_turn():
    assert {record["status"] for record in measured(settings={"seconds": 60}).records} == {"done"}


def test_a_method_without_training_is_skipped():
    outcome = measured(axes={"method": ["random-init"]})
    assert [(r["status"], r["reason"]) for r in outcome.records] == [("skipped", "random-init takes no training step")]
    assert outcome.exit_code == 0


def test_an_interrupt_keeps_what_is_finished(monkeypatch):
    measure = speed_bench.SpeedBench.measure
    calls = []

    def interrupted(self, found, pairs, find_batch):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        measure(self, found, pairs, find_batch)

    monkeypatch.setattr(speed_bench.SpeedBench, "measure", interrupted)
    outcome = measured(axes={"method": ["simclr", "byol"]})
    assert outcome.exit_code == 130
    assert [record["method"] for record in outcome.records] == ["simclr"]


def test_results_that_cannot_be_stored_are_answered(tmp_path):
    (tmp_path / "file").write_text("")
    events = []
    outcome = measured(events=events, out=tmp_path / "file/below")
    assert outcome.exit_code == 3
    assert [record["status"] for record in outcome.records] == ["done", "done"]
    assert any(event.kind == "warning" for event in events)


def test_fp16_and_cuda_are_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--precision fp16 needs a GPU"):
        prepare(SpeedRequest("mini.toml", settings={"precisions": ["fp16"]}))
    with pytest.raises(UserError, match="--device cuda: "):
        prepare(SpeedRequest("mini.toml", settings={"device": "cuda"}))


def test_cuda_graphs_are_refused_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--compile cuda-graphs needs a GPU; allowed on a CPU: eager, compile"):
        prepare(SpeedRequest("mini.toml", settings={"compile": ["cuda-graphs"]}))


def test_rows_held_against_each_other_are_one_group():
    plan = SpeedPlan((None,) * 6, (Pair(1, 0, ("a",)), Pair(2, 1, ("b",)), Pair(4, 5, ("a",))), (), None)
    assert sorted(map(sorted, grouped(plan))) == [[0, 1, 2], [3], [4, 5]]


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
    found = Comparison(ratio, low, high, noise, ONE, ONE)
    assert verdict(found, Expected(statement="3 to 4 times", low=3, high=4, against=["full"])) == word
    assert replace(found, ratio=ratio).ratio == ratio
