"""Work as tasks: events and files come back, what Ray raises becomes words, and nothing ends twice."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from sslbench import Ended, Failure, RecordMade, pretraining_files
from sslbench.store.digests import check_digest
from sslbench.testing.conformance.executors import of_executor
from sslbench_plugins.executors.ray import sslbench_executors
from sslbench_plugins.executors.ray.failure import failure_of
from sslbench_plugins.executors.ray.files import Arrivals, pieces_of, scratch_folder, state_of
from sslbench_plugins.executors.ray.needs import RayParams


class RayError(Exception):
    pass


class WorkerCrashedError(RayError):
    pass


def records(events):
    return [event.record for event in events if isinstance(event, RecordMade)]


def test_it_is_an_executor_as_conformance_asks_for(ray, monkeypatch):
    # What Ray is told before it starts, and what a task tells a process that elsewhere is its own.
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_DEDUP_LOGS", "0"), ("CUDA_VISIBLE_DEVICES", "")):
        monkeypatch.setenv(name, value)
    (spec,) = sslbench_executors()
    assert list(of_executor(spec, RayParams())) == []


def test_a_task_asks_for_what_it_needs_and_is_never_tried_again_by_ray(ray, executor_of, small_work, tmp_path, done):
    _, ended = done(executor_of("cuda", cpus=3, memory=2), small_work(tmp_path, "raw-pixels"))
    assert ended.failure is None
    (options,) = ray.options_of_tasks
    asked = ("num_gpus", "num_cpus", "memory", "max_calls", "max_retries", "num_returns")
    assert [options[name] for name in asked] == [1, 3, 2_000_000_000, 1, 0, "streaming"]


def test_its_record_says_how_many_tasks_may_share_the_device(ray, executor_of, small_work, tmp_path, done):
    events, _ = done(executor_of(cpus=2, slots=3), small_work(tmp_path, "simclr"))
    assert [record.at_once for record in records(events)] == [3]


@pytest.mark.parametrize(("gpu_ids", "visible"), [([], ""), ([1], "1")])
def test_a_task_without_gpus_sees_none(ray, executor_of, small_work, tmp_path, done, monkeypatch, gpu_ids, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    ray.gpu_ids = gpu_ids
    done(executor_of(), small_work(tmp_path, "raw-pixels"))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_with_a_shared_folder_the_work_is_done_there_and_no_mark_stays(ray, executor_of, small_work, tmp_path, done):
    executor = executor_of()
    events, ended = done(executor, small_work(tmp_path, "raw-pixels"))
    assert [record.status for record in records(events)] == ["done"]
    assert ended == Ended("k0")
    assert pretraining_files(tmp_path, "k0").features.exists()
    executor.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_one_the_files_come_back_and_go_there_again(ray, executor_of, small_work, tmp_path, done, monkeypatch):
    executor = executor_of(shared="false")
    events, ended = done(executor, small_work(tmp_path, "simclr"))
    assert ended.failure is None
    files = pretraining_files(tmp_path, "k0")
    for path in (files.weights, files.features, files.facts, files.data, files.per_image("cell-knn")):
        assert check_digest(path)
    assert not files.checkpoint.exists()
    before = {path: path.stat().st_mtime_ns for path in files.folder.rglob("*") if path.is_file()}
    events, _ = done(executor, small_work(tmp_path, "simclr", evaluators=("retrieval",)))
    assert [record.status for record in records(events)] == ["done"]
    assert not any("training" in getattr(event, "text", "") for event in events)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert files.per_image("cell-retrieval").exists()


def test_what_is_asked_for_anew_is_not_sent_what_there_is(ray, executor_of, small_work, tmp_path, done):
    pretraining_files(tmp_path, "k0").folder.mkdir(parents=True)
    pretraining_files(tmp_path, "k0").checkpoint.write_bytes(b"x")
    done(executor_of(shared="false"), replace(small_work(tmp_path, "raw-pixels"), fresh=True))
    assert ray.stored == []
    done(executor_of(shared="true"), small_work(tmp_path, "raw-pixels"))
    assert ray.stored == []


def test_a_file_of_many_pieces_comes_whole_and_one_that_is_gone_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("sslbench_plugins.executors.ray.files.CHUNK", 4)
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "per_image").mkdir(parents=True)
    for name, content in {"a": b"", "per_image/b": b"0123456789", "c": b"0123"}.items():
        (there / name).write_bytes(content)
    (there / ".c.partial").write_bytes(b"half")
    arrivals = Arrivals(here)
    for piece in pieces_of(there, state_of(there)):
        arrivals.take(piece)
    assert [(here / name).read_bytes() for name in state_of(there)] == [b"", b"0123", b"0123456789"]
    assert sorted(state_of(here)) == ["a", "c", "per_image/b"]
    arrivals.remove(["a", "not there"])
    assert sorted(state_of(here)) == ["c", "per_image/b"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_a_file_stays_in_its_folder(tmp_path, name):
    with pytest.raises(ValueError, match="a worker sent a file of the name"):
        Arrivals(tmp_path).take((name, b"x", True))


def test_files_that_cannot_be_kept_are_named_once_and_the_records_stay(ray, executor_of, small_work, tmp_path, done):
    out = tmp_path / "out"
    out.mkdir()
    (out / "artifacts").write_text("in the way")
    events, ended = done(executor_of(shared="false"), small_work(out, "raw-pixels"))
    assert ended.failure is None
    assert [record.status for record in records(events)] == ["done"]
    lines = [event.text for event in events if ": not kept: " in getattr(event, "text", "")]
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines] == [
        "data.json",
        "features.safetensors",
        "cell-knn.safetensors",
        "neighbours.png",
        "pictures.json",
        "pretraining.json",
    ]


def test_scratch_folders_of_killed_tasks_are_removed_and_those_in_use_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "sslbench-ray-left"
    (left / "artifacts").mkdir(parents=True)
    with scratch_folder() as used:
        assert not left.exists()
        with scratch_folder():
            assert used.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_should_see_the_folder_and_does_not_refuses(ray, executor_of, small_work, tmp_path, done):
    executor = executor_of(shared="true")
    executor._marked.add(tmp_path)  # what is written here, the node does not see
    _, ended = done(executor, small_work(tmp_path, "raw-pixels"))
    assert ended.failure.kind == "refused"
    assert ended.failure.reason.endswith(f"does not see {tmp_path} (shared=true); allowed: auto, false")
    assert not pretraining_files(tmp_path, "k0").folder.exists()


def test_what_was_sent_before_a_crash_is_kept(ray, executor_of, small_work, tmp_path, done):
    ray.error, ray.most = WorkerCrashedError("\x1b[31mThe worker died\x1b[39m\nCheck logs"), 1
    events, ended = done(executor_of(), small_work(tmp_path, "raw-pixels"))
    assert events
    assert ended == Ended("k0", Failure("lost: the Ray worker died", detail="The worker died\nCheck logs"))


def test_work_that_had_ended_before_the_crash_has_ended(ray, executor_of, small_work, tmp_path, done):
    ray.error = WorkerCrashedError("late")
    events, ended = done(executor_of(), small_work(tmp_path, "raw-pixels"))
    assert ended == Ended("k0")
    assert [record.status for record in records(events)] == ["done"]


def test_cancelled_work_ends_once_as_cancelled(ray, executor_of, small_work, tmp_path, monkeypatch):
    executor, events, begun, go = executor_of(), [], threading.Event(), threading.Event()

    def emit(event):
        events.append(event)
        if not isinstance(event, Ended) and len(events) > 1:
            begun.set()
            go.wait(60)

    task = executor.submit(small_work(tmp_path, "raw-pixels"), emit)
    assert begun.wait(60)
    task.cancel()
    go.set()
    task.thread.join(60)
    task.cancel()
    assert events[-1] == Ended("k0", Failure("cancelled", "cancelled"))
    assert sum(isinstance(event, Ended) for event in events) == 1


def named(name, *bases):
    return type(name, bases or (RayError,), {})


class TaskFailed(RayError):
    def __init__(self, cause):
        self.cause = cause
        super().__init__("a traceback\nof Ray")


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (named("OutOfMemoryError")(), "lost", "lost: Ray ended the worker, since its node ran out of memory"),
        (named("NodeDiedError")(), "lost", "lost: the node died, was preempted, or lost its connection"),
        (
            named("OwnerDiedError", named("ObjectLostError"))(),
            "lost",
            "lost: what the worker had sent was lost with its node",
        ),
        (named("RuntimeEnvSetupError")(), "lost", "lost: Ray could not set up the worker"),
        (
            TaskFailed(ModuleNotFoundError("No module named 'x'")),
            "lost",
            "lost: the task failed: ModuleNotFoundError: No module named 'x'",
        ),
        (RayError("first\nlast"), "lost", "lost: the task failed: RayError: last"),
        (RayError(), "lost", "lost: the task failed: RayError"),
        (named("TaskCancelledError")(), "cancelled", "cancelled"),
    ],
)
def test_what_ray_raises_in_words(error, kind, reason):
    failure = failure_of(error)
    assert (failure.kind, failure.reason) == (kind, reason)
    assert "\n" not in failure.reason
