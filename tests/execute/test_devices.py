"""One pretraining on several devices: what is refused, how failures are told, and a whole one in two processes."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from sslbench.contracts.executor import EpochEnded, PluginChoice, TrainingProgress, TrainingSettings
from sslbench.errors import Diverged, SslbenchError, UserError
from sslbench.execute import pretraining
from sslbench.execute.devices import check_devices, check_graphs
from sslbench.execute.events import DataRead, Printed, StepsTimed, TrainingStarted, Warned
from sslbench.execute.exits import how_it_ended
from sslbench.execute.launch import Launcher, Log, environment
from sslbench.execute.outcome import RankFailed, reason_of, status_of, trace_of
from sslbench.execute.rank import failure
from sslbench.hooks.registry import Registry


@pytest.mark.parametrize(
    ("settings", "offered", "message"),
    [
        ({"devices": 3}, ["cpu"], "--devices 3: batch_size = 128 has no equal share for 3 devices"),
        (
            {"devices": 4, "accumulate": 3},
            ["cpu"],
            "--devices 4: batch_size = 128 has no equal share for 4 devices x 3 parts (accumulate)",
        ),
        ({"devices": 256}, ["cpu"], "--devices 256: batch_size = 128 has no equal share for 256 devices"),
        (
            {"devices": 2, "device": "cuda:1"},
            ["cpu", "cuda:0", "cuda:1"],
            "--devices 2 with --device cuda:1: one device is named; allowed: --device cuda",
        ),
        (
            {"devices": 4, "device": "cuda"},
            ["cpu", "cuda:0", "cuda:1"],
            "--devices 4: there are 2 GPU(s) here; allowed: 1 to 2, or --device cpu",
        ),
    ],
)
def test_devices_that_cannot_share_a_batch_are_refused_in_one_line(settings, offered, message):
    with pytest.raises(UserError) as refused:
        check_devices(TrainingSettings(**{"device": "cpu", **settings}), offered)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu"}, "--cuda-graphs needs a GPU; the device is cpu"),
        ({"devices": 2}, "--cuda-graphs: one device only; given: --devices 2"),
        ({"precision": "fp16"}, "--cuda-graphs with --precision fp16: allowed are the other precisions"),
    ],
)
def test_steps_that_cannot_be_cuda_graphs_are_refused_in_one_line(settings, message):
    given = {"device": "cuda:0", "precision": "bf16", "cuda_graphs": True, **settings}
    with pytest.raises(UserError) as refused:
        check_graphs(TrainingSettings(**given))
    assert str(refused.value) == message
    check_graphs(TrainingSettings(**{**given, "cuda_graphs": False}))
    check_graphs(TrainingSettings(device="cuda", precision="bf16", cuda_graphs=True))


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({"devices": 1, "batch_size": 7, "device": "cuda:1"}, ["cpu"]),
        ({"devices": 64, "device": "cpu"}, ["cpu"]),  # more than cores
        ({"devices": 2, "device": "cuda"}, ["cuda:0", "cuda:1"]),
        ({"devices": 8, "device": "cuda"}, ["cuda"]),  # of a cluster: how many there are is not known
    ],
)
def test_devices_that_can_are_not(settings, offered):
    check_devices(TrainingSettings(**settings), offered)


def test_the_command_line_refuses_them_before_anything_runs(sslbench):
    done = sslbench("run", "-m", "simclr", "-e", "knn", "--devices", "3", "--device", "cpu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sslbench: error: --devices 3: batch_size = 32 has no equal share for 3 devices\n"


@pytest.fixture
def launcher(tmp_path):
    """A launcher whose ranks have ended with these exit codes, each with the failure that it left, if any."""

    def ended(codes, **failures):
        for rank, (when, reason) in failures.items():
            values = {"status": "failed", "reason": reason, "trace": f"Traceback of {reason}", "time": when}
            (tmp_path / f"{rank.removeprefix('rank')}.failure").write_text(json.dumps(values))
        made = Launcher(tmp_path, 3)
        made.exit_codes = codes
        return made

    return ended


KILL, TERM, ABORT, SEGV = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGABRT, -signal.SIGSEGV)


@pytest.mark.parametrize(
    ("codes", "failures", "reason"),
    [
        ({1: KILL, 0: TERM, 2: TERM}, {}, "lost: rank 1 was killed (SIGKILL)"),
        ({0: ABORT, 2: SEGV}, {}, "lost: rank 2 was killed (SIGSEGV)"),
        ({0: 1, 1: KILL}, {"rank0": (5.0, "RuntimeError: connection reset")}, "lost: rank 1 was killed (SIGKILL)"),
        ({0: 1, 1: 3}, {"rank0": (5.0, "RuntimeError: connection reset")}, "lost: rank 1 ended with exit code 3"),
        ({2: TERM, 0: TERM, 1: TERM}, {}, "lost: rank 2 was killed (SIGTERM)"),
        (
            {0: 1, 1: 1, 2: TERM},
            {"rank0": (5.0, "RuntimeError: connection reset"), "rank1": (4.5, "OutOfMemoryError: no")},
            "OutOfMemoryError: no",
        ),
    ],
)
def test_the_rank_that_failed_by_itself_is_named(launcher, codes, failures, reason):
    with pytest.raises(RankFailed) as failed:
        launcher(codes, **failures).check()
    assert (reason_of(failed.value), status_of(failed.value)) == (reason, "failed")


def test_what_a_lost_rank_printed_last_is_kept_instead_of_a_traceback(launcher, tmp_path):
    (tmp_path / "1.log").write_text("".join(f"line {number}\n" for number in range(30)))
    with pytest.raises(RankFailed) as failed:
        launcher({1: KILL}).check()
    assert trace_of(failed.value).split("\n") == [f"line {number}" for number in range(10, 30)]


def test_ranks_that_did_not_start_are_an_error_of_one_line(launcher):
    made = launcher({})
    made.check()
    made.error = OSError("no port is free")
    with pytest.raises(SslbenchError, match=r"^the 3 ranks could not be started: no port is free$"):
        made.check()


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "ended with exit code 3"), (KILL, "was killed (SIGKILL)"), (-250, "was killed (signal 250)")],
)
def test_how_a_rank_ended(code, words):
    assert how_it_ended(code) == words


def test_an_error_of_a_rank_becomes_what_it_is_in_one_process():
    for error in (Diverged("the loss was nan"), MemoryError("much"), ValueError("two\nlines"), SystemExit(0)):
        told = failure(error)
        again = RankFailed(told["status"], told["reason"], told["trace"])
        assert (status_of(again), reason_of(again)) == (status_of(error), reason_of(error))
        assert trace_of(again) == trace_of(error)


def test_a_log_gives_whole_lines_once(tmp_path):
    path = tmp_path / "0.log"
    log = Log(path)
    assert log.new() == []
    path.write_bytes(b"one\ntw")
    assert log.new() == [Printed("one")]
    path.write_bytes(b"one\ntwo \xff\nthree\n")
    assert log.new() == [Printed("two \N{REPLACEMENT CHARACTER}"), Printed("three")]


def test_the_environment_is_as_it_was(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    before = dict(os.environ)
    with environment():
        os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGTERM"
        assert os.environ["GLOO_SOCKET_IFNAME"] == "eth7"
    assert dict(os.environ) == before


TWO = {"devices": 2}
SHAPES = {"dataset": PluginChoice("shapes", {"train_images": 200, "test_images": 20, "image_size": 16})}
"""without scikit-learn, which each rank would import"""


def test_ranks_whose_result_is_nowhere_are_an_error_and_not_trained_again(tmp_path, small_work, do_work, monkeypatch):
    calls = []

    def run_ranks(work, emit):
        calls.append(work)
        emit(Warned("weights not kept: No space left on device"))

    monkeypatch.setattr(pretraining, "run_ranks", run_ranks)
    (record,) = do_work(small_work(tmp_path, training=TWO)).records
    where = f"{tmp_path}/artifacts/k0 (weights not kept: No space left on device)"
    assert (record.status, record.reason) == ("failed", f"what 2 devices trained is not to be found in {where}")
    assert len(calls) == 1


def test_a_method_that_takes_no_step_needs_one_process(tmp_path, small_work, do_work, monkeypatch):
    monkeypatch.setattr(pretraining, "run_ranks", lambda *given: pytest.fail("ranks were started"))
    (record,) = do_work(small_work(tmp_path, "random-init", training=TWO)).records
    assert record.status == "done"


def test_two_devices_leave_what_one_does_and_evaluate_in_one_process(tmp_path, small_work, do_work, monkeypatch):
    work = small_work(tmp_path, evaluators=("knn", "retrieval"), training={**TWO, "epochs": 2})
    emitted = do_work(work)
    assert [(record.status, record.reason) for record in emitted.records] == [("done", None)] * 2
    assert emitted.warnings == ["digits: training on a fixed random 128 of 1,150 images (train_images)"]
    training = emitted.records[0].pretraining
    assert (training.steps, training.batch_size, len(training.losses)) == (4, 64, 2)
    assert training.flops_per_image > 0
    assert emitted.records[0].data.train_images == 128
    kinds = [type(event) for event in emitted.events]
    reported = (DataRead, TrainingStarted, TrainingProgress, EpochEnded, StepsTimed)
    assert [kinds.count(kind) for kind in reported] == [1, 1, 2, 2, 1]
    assert emitted.stages[:3] == ["reading images", "training", "extracting features"]
    assert emitted.stages[3:] == ["evaluating knn", "reading images", "evaluating retrieval"]
    folder = tmp_path / "artifacts/k0"
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "data.json", "features.safetensors", "pretraining.json", "weights.safetensors"
    ]  # fmt: skip

    shared = load_file(folder / "features.safetensors")
    monkeypatch.setattr(pretraining, "run_ranks", lambda *given: pytest.fail("it was trained again"))
    assert [record.status for record in do_work(work).records] == ["done", "done"]
    (folder / "features.safetensors").unlink()
    do_work(replace(work, training=work.training.model_copy(update={"devices": 1})))
    alone = load_file(folder / "features.safetensors")
    assert shared.keys() == alone.keys()
    assert all(torch.equal(values, alone[name]) for name, values in shared.items())


FAILING = """
    import os
    import signal

    from sslbench import AugmentationSpec, build_plugin, hookimpl, rank, ranks


    class Failing:
        '''Says something, and ends rank 1 at its third batch.'''

        def __init__(self, how):
            self.how, self.inner = how, build_plugin("augmentation", "none")
            self.calls = 0

        def view(self, index, kind, size):
            transform = self.inner.view(index, kind, size)

            def call(images, generator):
                self.calls += 1
                if self.calls == 5 and rank() == 1:
                    {how}
                if self.calls == 1:
                    print("first batch of", rank(), "in", ranks(), flush=True)
                return transform(images, generator)

            return call


    @hookimpl
    def sslbench_augmentations():
        return [AugmentationSpec(name="failing", build=lambda params, context: Failing(0))]
"""


@pytest.fixture
def fail(tmp_path, distribution, small_work, do_work):
    """Train on two devices with an augmentation that ends rank 1 somehow."""

    def run(how):
        distribution("failing", {"augmentation.failing": "failing"}, {"failing": FAILING.replace("{how}", how)})
        distribution("broken", {"bundle": "broken"}, {"broken": "raise RuntimeError('broken')"})
        plugins = {"augmentation": PluginChoice("failing"), **SHAPES}
        return do_work(small_work(tmp_path / "out", training={**TWO, "epochs": 3}, plugins=plugins), Registry())

    return run


def test_a_rank_that_is_killed_is_a_failed_record_and_the_others_have_ended(fail):
    emitted = fail("os.kill(os.getpid(), signal.SIGKILL)")
    (record,) = emitted.records
    assert (record.status, record.reason) == ("failed", "lost: rank 1 was killed (SIGKILL)")
    assert record.traceback.strip() == "first batch of 1 in 2"
    assert [event.text for event in emitted.events if isinstance(event, Printed)] == ["first batch of 0 in 2"]
    assert not (children := alive_children()), children


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("raise MemoryError('much')", "oom", "MemoryError: much"),
        ("raise SystemExit(0)", "failed", "SystemExit: 0"),
    ],
)
def test_another_end_of_a_rank_is_the_record_of_one_process(fail, how, status, reason):
    (record,) = fail(how).records
    assert (record.status, record.reason) == (status, reason)
    assert record.traceback.startswith("Traceback")
    assert how.removeprefix("raise ") in record.traceback


@pytest.mark.slow
def test_a_time_limit_is_that_of_one_process(tmp_path, small_work, do_work):
    (record,) = do_work(small_work(tmp_path, training={**TWO, "time_limit": 1e-6}, plugins=SHAPES)).records
    reason = "training took longer than 1e-06 s (time_limit), at step 1 of 2"
    assert (record.status, record.reason) == ("timeout", reason)
    assert "TimeLimit" in record.traceback


def alive_children():
    """Commands of the processes that this one has started and that still run."""
    found = []
    for folder in os.listdir("/proc"):
        try:
            with open(f"/proc/{folder}/stat") as stat, open(f"/proc/{folder}/cmdline") as command:
                after_name = stat.read().rpartition(")")[2].split()
                if int(after_name[1]) == os.getpid() and after_name[0] != "Z":
                    found.append(command.read())
        except (OSError, ValueError):
            continue
    return [text for text in found if "sslbench.execute.rank" in text]
