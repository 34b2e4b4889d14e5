"""Whatever is raised in any stage of one row costs that row, or that part of it, and nothing else."""

from __future__ import annotations

import pytest
import torch

from sslbench.errors import UserError
from sslbench.execute.outcome import reason_of
from sslbench.hooks.registry import Registry
from sslbench.measure.ceilings import Ceilings
from sslbench.measure.energy import SECONDS, Counter, Unreadable
from sslbench.speed import bench, preparation, run as module
from sslbench.speed.facts import LargestBatch, SpeedFacts
from sslbench.speed.run import SpeedRequest, speed
from sslbench.speed.steps import SyntheticStep
from sslbench.speed.table import render_speed
from sslbench.store.results import ResultsStore

SUITE = """
name = "mini"
[speed]
image_size = 8
batch_sizes = [4]
steps = 10
warmup = 2
[axes]
method = ["simclr", "supervised"]
backbone = ["convnet-small:width=4"]
augmentation = ["crop-only"]
dataset = ["shapes:train_images=16,test_images=2,image_size=16"]
"""
CHIP = Ceilings("chip", 1, "2.14", {"fp32": 1e11}, 1e10, "2026-01-01T00:00:00+00:00", False)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ZeroDivisionError("a plugin's bug"),
    SystemExit(3),
    UserError("the data set is no more"),
]
ASSERT = torch.AcceleratorError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ceilings", lambda device, processor, report: CHIP)
    monkeypatch.setattr("sslbench.measure.timing.PAUSE", (0.0, 0.0))
    monkeypatch.setattr("sslbench.measure.comparison.SLOT_MS", 0.0)
    (tmp_path / "mini.toml").write_text(SUITE)


@pytest.fixture
def spoil(monkeypatch):
    """Let a function raise where it is about the method ``name``; ``method_of``: what it is about."""

    def spoil(owner, function, error, method_of, name="simclr"):
        true = getattr(owner, function)

        def spoilt(*args, **kwargs):
            if method_of(*args) == name:
                raise error
            return true(*args, **kwargs)

        monkeypatch.setattr(owner, function, spoilt)

    return spoil


def measured(**request):
    outcome = speed(SpeedRequest("mini.toml", **request), None, Registry())
    return outcome, {record.method: record for record in outcome.records}


def facts(record):
    return SpeedFacts.from_json(record.speed)


def reason(error):
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


BUILD = (preparation, "build_step", lambda row, *rest: row.method.name)
WARM_UP = (SyntheticStep, "arm", lambda step: type(step.method).__name__.lower())


@pytest.mark.parametrize(
    ("stage", "error"),
    [*((BUILD, error) for error in ERRORS), (WARM_UP, ERRORS[0])],
    ids=lambda part: type(part).__name__,
)
def test_a_row_that_cannot_be_built_or_warmed_up_is_the_only_one_lost(spoil, stage, error):
    owner, function, about = stage
    spoil(owner, function, error, about)
    outcome, records = measured()
    assert outcome.exit_code == 1
    assert records["simclr"].status == ("oom" if "ALLOC" in str(error) or "memory" in str(error) else "failed")
    assert records["simclr"].reason == reason(error)
    assert records["supervised"].status == "done"
    assert facts(records["supervised"]).end_to_end.images_per_second > 0
    assert reason(error).partition("\n")[0] in " ".join(render_speed(outcome.records, "table", "").split())


@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[2]], ids=lambda error: type(error).__name__)
def test_a_pipeline_that_fails_costs_the_end_to_end_columns_of_its_row(spoil, error):
    spoil(bench, "end_to_end", error, lambda step, *rest: type(step.method).__name__.lower())
    outcome, records = measured()
    assert outcome.exit_code == 0
    simclr, supervised = facts(records["simclr"]), facts(records["supervised"])
    assert simclr.images_per_second > 0
    assert simclr.end_to_end is None
    assert supervised.end_to_end.images_per_second > 0
    assert simclr.missing == (f"end to end: {reason(error)}",)
    assert records["simclr"].reason == simclr.missing[0]
    text = " ".join(render_speed(outcome.records, "table", "").split())
    assert f"measured in part: simclr: end to end: {reason(error)}" in text


def test_a_data_set_that_cannot_be_read_costs_the_end_to_end_columns_only(monkeypatch):
    def unreadable(choice, download):
        raise PermissionError(13, "Permission denied", "photos")

    monkeypatch.setattr(bench, "build_dataset", unreadable)
    outcome, records = measured()
    assert {record.status for record in outcome.records} == {"done"}
    assert "Permission denied" in records["supervised"].reason


def test_a_count_of_operations_that_fails_costs_that_column(spoil):
    spoil(preparation.Preparation, "_count", KeyError("no such patch"), lambda own, row, *rest: row.row.method.name)
    _, records = measured()
    assert facts(records["simclr"]).flops_per_image is None
    assert facts(records["simclr"]).missing == ("parameters and operations: KeyError: 'no such patch'",)
    assert facts(records["simclr"]).images_per_second > 0
    assert facts(records["supervised"]).missing == ()


def test_a_search_for_the_largest_batch_that_fails_costs_that_column(monkeypatch):
    def broken(peak, available):
        raise OSError("no /proc")

    monkeypatch.setattr("sslbench.speed.largest_batch.by_growth", broken)
    outcome, records = measured(find_batch=True)
    assert {record.status for record in outcome.records} == {"done"}
    assert facts(records["supervised"]).missing == ("largest batch: OSError: no /proc",)


def test_a_fault_within_that_search_is_the_reason_of_all_that_comes_after(monkeypatch):
    tried = []

    def searched(build, device, seconds):
        tried.append(build)
        return LargestBatch(2, f"tried; 4 images: {reason_of(ASSERT)}", at_least=True)

    monkeypatch.setattr(bench, "largest_batch", searched)
    _, records = measured(find_batch=True)
    first, second = sorted(records.values(), key=lambda record: record.status)
    assert len(tried) == 1
    assert (first.status, facts(first).largest_batch.batch, second.status) == ("done", 2, "failed")
    fault = (
        "every call of CUDA fails in this process (tried; 4 images: AcceleratorError: CUDA error: device-side assert"
    )
    assert fault in second.reason


def test_a_step_that_fails_while_it_is_timed_costs_its_row_and_the_comparison(monkeypatch):
    arm = SyntheticStep.arm

    def fails_later(self):
        made, calls = arm(self), []

        def step():
            calls.append(1)
            if type(self.method).__name__ == "Supervised" and len(calls) > 12:
                raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
            return made.step()

        return type(made)(step, made.images, made.parameters, made.compiled, made.device)

    monkeypatch.setattr(SyntheticStep, "arm", fails_later)
    monkeypatch.setattr("sslbench.measure.timing.STEADY", 1e9)
    outcome, records = measured(baselines=[{"method": "supervised"}])
    assert (records["supervised"].status, records["simclr"].status) == ("oom", "done")
    assert facts(records["simclr"]).images_per_second > 0
    why = "not compared: timed in turn, the rows failed: RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED"
    assert why in facts(records["simclr"]).missing
    assert outcome.exit_code == 1


def test_ceilings_that_cannot_be_measured_cost_the_use_and_nothing_else(monkeypatch):
    def broken(device, processor, report):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(module, "ceilings", broken)
    events = []
    outcome = speed(SpeedRequest("mini.toml"), events.append, Registry())
    assert {record.status for record in outcome.records} == {"done"}
    assert {facts(record).utilisation for record in outcome.records} == {None}
    words = "use % is left out; what cpu can do could not be measured: RuntimeError: CUDA error: out of memory"
    assert words in [getattr(event, "text", None) for event in events]


def test_after_a_fault_of_the_gpu_every_row_that_is_left_says_why(spoil):
    tried = []
    spoil(*BUILD[:2], ASSERT, lambda row, *rest: tried.append(row.method.name) or row.method.name)
    outcome, records = measured(axes={"method": ["moco", "simclr", "supervised", "simsiam"]})
    assert tried == ["moco", "simclr"]
    assert outcome.exit_code == 1
    assert records["moco"].status == "done"
    assert records["simclr"].reason == "AcceleratorError: CUDA error: device-side assert triggered"
    for name in ("supervised", "simsiam"):
        assert (records[name].status, records[name].traceback) == ("failed", None)
        assert records[name].reason == (
            "not tried: after simclr crop-only shapes convnet-small every call of CUDA fails in this process"
            " (AcceleratorError: CUDA error: device-side assert triggered); measure what is left by a command of its"
            " own (-m, -b)"
        )


def test_a_fault_end_to_end_leaves_the_times_of_all_rows_in_memory(spoil):
    spoil(bench, "end_to_end", ASSERT, lambda step, *rest: type(step.method).__name__.lower())
    _, records = measured(baselines=[{"method": "supervised"}])
    assert {record.status for record in records.values()} == {"done"}
    assert all(facts(record).images_per_second > 0 for record in records.values())


def test_what_nothing_else_catches_costs_a_group(spoil):
    spoil(bench.SpeedBench, "measure", OSError("no /proc"), lambda own, group, pairs: group.get(0) and "simclr")
    _outcome, records = measured()
    assert (records["simclr"].status, records["supervised"].status) == ("failed", "done")
    assert records["simclr"].reason == "OSError: no /proc"


@pytest.mark.parametrize("function", ["end_to_end", "largest_batch"])
def test_an_interrupt_keeps_what_was_timed_in_its_group(monkeypatch, tmp_path, function):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, function, interrupted)
    outcome, records = measured(find_batch=True)
    assert outcome.exit_code == 130
    assert list(records) == ["simclr"]
    with ResultsStore.open_for_reading(tmp_path / "sslbench-results/mini") as store:
        assert [record.status for record in store.records()] == ["done"]
        assert len(store.steps(records["simclr"].cell)) >= 10


def test_joules_are_of_steps_of_their_own_and_where_there_are_none_the_reason_is_kept(monkeypatch):
    used = iter(range(0, 10**12, 8_000_000))
    monkeypatch.setattr("sslbench.measure.energy.counters_of", lambda device: [Counter(lambda: next(used))])
    monkeypatch.setitem(SECONDS, "cpu", 0.0)
    outcome, records = measured()
    # From one reading to the next 8 J; three steps of four images.
    assert [facts(record).joules_per_image for record in outcome.records] == pytest.approx([8 / 12] * 2)
    assert records["supervised"].pretraining.joules_per_image == pytest.approx(8 / 12)
    text = render_speed(outcome.records, "markdown", "")
    assert "J/img" in text
    assert "0.667" in text

    def unreadable(device):
        raise Unreadable("root only")

    monkeypatch.setattr("sslbench.measure.energy.counters_of", unreadable)
    outcome, records = measured()
    assert facts(records["supervised"]).joules_per_image is None
    assert facts(records["supervised"]).unknown["joules_per_image"] == "root only"
    assert records["supervised"].pretraining.why_no_energy == "root only"
    assert "J/img" not in render_speed(outcome.records, "markdown", "")
