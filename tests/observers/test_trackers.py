"""A run that is killed and goes on, reported to a real MLflow server, to TensorBoard files and to wandb offline, and
read back with the libraries' own readers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

pytestmark = pytest.mark.slow
EPOCHS = 4
KILLED_AT = 3
RUN = """
import os, signal, sys
from pathlib import Path
from sslbench import EpochEnded
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.plan.suite import Overrides

out, killed_at, fresh, *observers = sys.argv[1:]

def on_event(event):
    if isinstance(event, EpochEnded) and event.epoch == int(killed_at):
        os.kill(os.getpid(), signal.SIGKILL)

axes = {"method": ["simclr"], "backbone": ["convnet-small:width=4"], "evaluator": ["knn:k=1", "knn:k=5", "few-label"]}
training = {"epochs": 4, "batch_size": 32, "train_images": 64, "checkpoint_every": 1e-9, "curve_every": 2}
overrides = Overrides(axes, (0,), {**training, "curve": ["knn"], "device": "cpu"})
outcome = run(Request("quick", overrides, Path(out), observers=tuple(observers), fresh=fresh == "fresh"), on_event)
sys.exit(outcome.exit_code)
"""
EVALUATORS = {"knn k=1", "knn k=5", "few-label"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of an MLflow server on loopback, with SQLite."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.sqlite", "--artifacts-destination", str(folder)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **quiet}, start_new_session=True, **pipes) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Uvicorn running on" in line:
                break
        else:
            pytest.fail(f"the server did not start: {''.join(lines)}")
        rest = threading.Thread(target=process.stdout.read)  # what it prints from now on must go somewhere
        rest.start()
        yield f"http://127.0.0.1:{port}"
        os.killpg(process.pid, signal.SIGKILL)
        rest.join()


def run(out: Path, server: str, killed_at: int = 0, fresh: bool = False) -> subprocess.CompletedProcess[str]:
    observers = (f"mlflow:tracking_uri={server}", "tensorboard", "wandb:mode=offline", "jsonl")
    arguments = [str(out), str(killed_at), "fresh" if fresh else "", *observers]
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, cwd=out.parent, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def results(server, tmp_path_factory) -> Path:
    """What a run leaves that was killed in its third epoch and gone on with."""
    out = tmp_path_factory.mktemp("results") / "out"
    killed = run(out, server, KILLED_AT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = run(out, server)
    assert ended.returncode == 0, ended.stderr
    return out


def lines(results):
    return [json.loads(line) for line in (results / "events.jsonl").read_text().splitlines()]


def losses(results):
    (losses,) = {
        tuple(line["record"]["pretraining"]["losses"]) for line in lines(results) if line["event"] == "record_written"
    }
    assert len(losses) == EPOCHS
    return losses


def the_run(results):
    (name,) = {line["run"] for line in lines(results) if line["event"] == "pretraining_started"}
    return name


def test_lines_of_json_hold_each_epoch_and_record_once(results):
    events = Counter(line["event"] for line in lines(results))
    assert events == {
        "run_started": 2,
        "pretraining_started": 2,
        "epoch_ended": EPOCHS,
        "record_written": 3,
        "pretraining_ended": 1,
        "run_finished": 1,
    }
    epochs = [line for line in lines(results) if line["event"] == "epoch_ended"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4]
    assert tuple(line["loss"] for line in epochs) == losses(results)


def test_one_run_of_mlflow_holds_all_of_a_pretraining(results, server):
    client = import_module("mlflow").MlflowClient(server)
    experiment = client.get_experiment_by_name("quick")
    (found,) = client.search_runs([experiment.experiment_id], filter_string=f"tags.`sslbench.results` = '{results}'")
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "simclr affine digits convnet-small seed 0"
    assert found.data.tags["sslbench.run"] == the_run(results)
    assert found.data.tags["sslbench.status"] == "3 done"
    assert found.data.params["method"] == "simclr"
    assert float(found.data.params["method.temperature"]) > 0
    assert found.data.params["training.epochs"] == "4"
    assert found.data.params["seed"] == "0"
    history = client.get_metric_history(found.info.run_id, "training/loss")
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(losses(results), start=1))
    curve = client.get_metric_history(found.info.run_id, "curve/knn/knn_top1")
    assert [metric.step for metric in curve] == [2, 4]
    assert {"final/knn k_1/knn_top1", "final/few-label/few_label_top1_at_2"} <= set(found.data.metrics)
    assert found.data.metrics["cost/peak_memory_bytes"] > 0
    assert len(client.get_metric_history(found.info.run_id, "cost/seconds")) == 1


def test_event_files_hold_each_epoch_once(results):
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    (folder,) = (results / "tensorboard").iterdir()
    assert folder.name == f"simclr-affine-digits-convnet-small-seed-0-{the_run(results)[:8]}"
    assert len(list(folder.iterdir())) == 2  # one of each process
    events = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("training/loss")]
    assert scalars == [(step, pytest.approx(loss)) for step, loss in enumerate(losses(results), start=1)]
    tags = set(events.Tags()["scalars"])
    assert {f"final/{name}/knn_top1" for name in EVALUATORS - {"few-label"}} <= tags
    assert len(events.Scalars("cost/seconds")) == 1
    parameters = events.SummaryMetadata("_hparams_/session_start_info").plugin_data
    plugin = import_module("tensorboard.plugins.hparams.plugin_data_pb2").HParamsPluginData
    hparams = plugin.FromString(parameters.content).session_start_info.hparams
    assert hparams["method"].string_value == "simclr"
    assert hparams["training.epochs"].number_value == EPOCHS
    texts = {event.tensor_proto.string_val[0].decode() for event in events.Tensors("command")}
    assert [text.startswith("`sslbench run quick --method simclr") for text in texts] == [True]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "wandb"])
def test_each_keeps_its_contract(name, server):
    given = {"mlflow": {"tracking_uri": server}, "wandb": {"mode": "offline"}}.get(name, {})
    assert problems(Registry().get("observer", name), **given) == []


def wandb_records(path):
    """The records of an offline run: wandb's own messages in the log format of LevelDB, blocks of 32 KiB in which each
    piece has a header of 7 bytes and the type of 1 (whole), 2 (first), 3 (middle) or 4 (last)."""
    record = import_module("wandb.proto.wandb_internal_pb2").Record
    content, at, piece = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        piece += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record.FromString(piece)
            piece = b""


def values(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_offline_files_of_wandb_hold_each_epoch_once_and_have_one_id(results):
    paths = sorted(results.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert [path.name for path in paths] == [f"run-{the_run(results)}.wandb"] * 2
    records = [record for path in paths for record in wandb_records(path)]
    steps = [values(record.history.item) for record in records if record.WhichOneof("record_type") == "history"]
    assert [(step["_step"], step["epoch"], step["training/loss"]) for step in steps] == [
        (number, number, pytest.approx(loss)) for number, loss in enumerate(losses(results), start=1)
    ]
    summary = {}
    for record in records:
        if record.WhichOneof("record_type") == "summary":
            summary |= values(record.summary.update)
    assert {"final/knn k=1/knn_top1", "final/few-label/few_label_top1@2", "cost/seconds"} <= set(summary)
    assert summary["status"] == "3 done"
    (config,) = {
        json.dumps(values(record.run.config.update), sort_keys=True)
        for record in records
        if record.WhichOneof("record_type") == "run"
    }
    assert json.loads(config)["method"] == "simclr"
    assert {record.run.project for record in records if record.WhichOneof("record_type") == "run"} == {"quick"}


def test_all_of_it_anew_is_another_run_everywhere(results, server):
    ended = run(results, server, fresh=True)
    assert ended.returncode == 0, ended.stderr
    client = import_module("mlflow").MlflowClient(server)
    experiment = client.get_experiment_by_name("quick")
    runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`sslbench.results` = '{results}'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    for run_ in runs:
        history = client.get_metric_history(run_.info.run_id, "training/loss")
        assert [metric.step for metric in history] == [1, 2, 3, 4]
    folders = sorted((results / "tensorboard").iterdir())
    assert [folder.name.endswith("-2") for folder in folders] == [False, True]
    ids = {path.stem.removeprefix("run-") for path in results.glob("wandb/offline-run-*/*.wandb")}
    assert ids == {the_run(results), f"{the_run(results)}-1"}
    epochs = [line["epoch"] for line in lines(results) if line["event"] == "epoch_ended"]
    assert epochs == [1, 2, 3, 4] * 2
