"""What a worker does about a GPU that keeps memory or has a fault, with a GPU that is pretended."""

from __future__ import annotations

import os
from contextlib import suppress
from types import SimpleNamespace

import pytest

from sslbench import Ended, Failure, RecordMade, Warned, from_line
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import default_registry
from sslbench.plan.suite import Overrides
from sslbench.store.record import Record
from sslbench_plugins.executors.gpu import fault, fault_after, leak
from sslbench_plugins.executors.workers import serve as worker

GIB = 2**30


class Cuda:
    """As ``torch.cuda`` with two GPUs of 10 GiB."""

    def __init__(self, kept=(0, 0), error=None, used=True):
        self.kept, self.error, self.used, self.emptied = kept, error, used, False

    def is_initialized(self):
        return self.used

    def device_count(self):
        return 2

    def synchronize(self, index):
        if self.error:
            raise self.error

    def empty_cache(self):
        self.emptied = True

    def memory_allocated(self, index):
        return self.kept[index]

    def get_device_properties(self, index):
        return SimpleNamespace(total_memory=10 * GIB)


ASSERT = RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")
REASON = "AcceleratorError: CUDA error: device-side assert triggered"
WORDS = "the GPU reports a fault: CUDA error: device-side assert triggered"


def test_a_fault_is_what_every_call_ends_in():
    assert fault(Cuda(error=ASSERT)) == WORDS
    assert fault(Cuda()) is None
    assert fault(Cuda(error=ASSERT, used=False)) is None  # nobody asked the GPU


def test_a_leak_is_a_share_of_the_card_after_the_cache_was_emptied():
    cuda = Cuda(kept=(GIB // 10, GIB // 5))
    assert leak(cuda) is None
    assert cuda.emptied
    assert leak(Cuda(kept=(0, GIB))) == "1.0 GiB of a GPU's memory were not given back"
    unused = Cuda(kept=(0, GIB), used=False)
    assert leak(unused) is None
    assert not unused.emptied


@pytest.fixture
def served(small_work, monkeypatch, tmp_path):
    """Do a piece of work whose cells end with these statuses, or records; returns what was sent."""

    def serve(cuda, *statuses):
        def run_work(work, emit):
            for number, end in enumerate(statuses):
                emit(RecordMade(end if isinstance(end, Record) else Record(f"c{number}", end, "m", 0)))

        monkeypatch.setattr(worker, "run_work", run_work)
        monkeypatch.setattr(os, "_exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
        with (tmp_path / "events").open("wb") as events, (tmp_path / "printed").open("wb") as printed:
            channel = worker.Channel(events.fileno(), printed.fileno())
            with suppress(SystemExit):
                worker.serve(small_work(tmp_path), channel, cuda)
        lines = (tmp_path / "events").read_text().splitlines()
        return [from_line(line) if line.startswith("{") else line for line in lines]

    return serve


def test_a_healthy_worker_stays(served):
    assert [getattr(item, "record", item) for item in served(Cuda(), "done", "failed")] == [
        "begin",
        Record("c0", "done", "m", 0),
        Record("c1", "failed", "m", 0),
    ]


def test_a_fault_after_a_failed_cell_ends_the_worker_before_the_next_one(served):
    sent = served(Cuda(error=ASSERT), "failed", "failed")
    assert [getattr(item, "record", item) for item in sent] == [
        "begin",
        Record("c0", "failed", "m", 0),
        "leaving",
        Ended("k0", Failure(f"lost: {WORDS}")),
    ]


def test_a_worker_that_leaks_or_has_a_fault_in_the_end_leaves_and_says_so(served):
    for cuda, words in (
        (Cuda(error=ASSERT), WORDS),
        (Cuda(kept=(GIB, 0)), "1.0 GiB of a GPU's memory were not given back"),
    ):
        assert served(cuda, "done")[2:] == [Warned(f"{words}; the worker process is replaced"), "leaving"]


def test_a_fault_is_known_by_the_words_of_a_record_too(served):
    sent = served(Cuda(), Record("c0", "failed", "m", 0, reason=REASON), "done")
    assert sent[1:] == [
        RecordMade(Record("c0", "failed", "m", 0, reason=REASON)),
        "leaving",
        Ended("k0", Failure(f"lost: the GPU reports a fault: {REASON}")),
    ]


def test_a_fault_of_another_rank_is_none_of_this_process(small_work, tmp_path):
    event = RecordMade(Record("c0", "failed", "m", 0, reason=REASON))
    for devices, words in ((1, f"the GPU reports a fault: {REASON}"), (2, None)):
        assert fault_after(event, small_work(tmp_path, training={"devices": devices}), Cuda()) == words
    assert fault_after(RecordMade(Record("c0", "done", "m", 0)), small_work(tmp_path), Cuda(error=ASSERT)) is None


FAULTY = """
import torch
from sslbench import Evaluator, EvaluatorSpec, Metric, hookimpl

faults = []

class Faulty:
    def evaluate(self, data):
        faults.append(1)
        features = data.train.features
        if features.is_cuda:
            features[torch.tensor([len(features)], device=features.device)].sum().item()
        raise torch.AcceleratorError("CUDA error: device-side assert triggered\\nCompile with TORCH_USE_CUDA_DSA")

class After:
    def evaluate(self, data):
        if faults:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        yield Metric("after_score", 1.0)

@hookimpl
def sslbench_evaluators():
    return [
        EvaluatorSpec(name="faulty", headline="score", build=lambda params, context: Faulty()),
        EvaluatorSpec(name="after", headline="after_score", build=lambda params, context: After()),
    ]
"""


@pytest.fixture
def faulty(distribution):
    """An evaluator that meets a device-side assert, or on a CPU the error of one, and one that fails in a process where
    that has been."""
    points = {f"evaluator.{name}": "faulty_plugin" for name in ("faulty", "after")}
    distribution("faulty", points, {"faulty_plugin": FAULTY})
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


def faulty_suite(tmp_path, executor, seeds, device="cpu"):
    settings = {"epochs": 1, "train_images": 64, "batch_size": 32, "device": device}
    axes = {"method": ["random-init"], "dataset": ["digits"], "backbone": ["convnet-small:width=4"]}
    axes["evaluator"] = ["knn", "faulty", "after"]
    overrides = Overrides(axes, seeds, settings)
    return run(Request(overrides=overrides, executor=executor, out=tmp_path / "out", retries=0))


def test_inline_tries_nothing_more_after_a_fault(tmp_path, faulty):
    outcome = faulty_suite(tmp_path, "inline", [0, 1])
    ends = {(record.evaluator, record.seed): (record.status, record.reason) for record in outcome.records}
    assert outcome.exit_code == 1
    assert ends["knn", 0] == ("done", None)
    assert ends["faulty", 0] == ("failed", REASON)
    words = f"not tried: the GPU reports a fault: {REASON}; the same command goes on in a new process"
    for cell in (("after", 0), ("knn", 1), ("faulty", 1), ("after", 1)):
        status, reason = ends[cell]
        assert status == "failed"
        assert reason == f"{words}, and executor 'workers' starts one by itself"


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_workers_go_on_with_a_new_process_after_a_fault(tmp_path, faulty, monkeypatch, device):
    """Two processes of torch: seconds. On a GPU its fault is a real one."""
    path = [str(tmp_path / "dists" / "faulty"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    outcome = faulty_suite(tmp_path, "workers", [0], device)
    ends = {record.evaluator: (record.status, (record.reason or "")[: len(REASON)]) for record in outcome.records}
    assert ends == {"knn": ("done", ""), "faulty": ("failed", REASON), "after": ("done", "")}
