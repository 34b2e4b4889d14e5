"""A cluster of Ray with pretended GPUs, on this machine: a head without one, a node with two and a node with one."""

from __future__ import annotations

import itertools
import os
import signal
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from sslbench import BuildContext, Ended, Failure
from sslbench.contracts.executor import Evaluation, PluginChoice
from sslbench.execute.events import CellStarted, Printed
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import default_registry
from sslbench.plan.suite import Overrides
from sslbench.store.artifacts import pretraining_files
from sslbench.store.digests import check_digest
from sslbench_plugins.executors.ray import build
from sslbench_plugins.executors.ray.needs import RayParams

pytestmark = pytest.mark.slow
ENTRIES = {"evaluator.where": "where_it_runs", "evaluator.ends-ray": "ends_ray", "evaluator.stays": "stays"}
EVALUATOR = """
import os, pathlib, sys, time
from sslbench import EvaluatorSpec, Metric, hookimpl

class Evaluator:
    def evaluate(self, data):
        {body}

@hookimpl
def sslbench_evaluators():
    return [EvaluatorSpec(name="{name}", headline="{metric}", build=lambda params, context: Evaluator())]
"""
WHERE = """begun = time.time()
        here = pathlib.Path({folder!r})
        (here / str(os.getpid())).touch()
        while len(list(here.iterdir())) < 3 and time.time() < begun + 120:
            time.sleep(0.01)
        gpu = os.environ["CUDA_VISIBLE_DEVICES"]
        yield Metric("gpu", int(gpu))
        yield Metric("node", int(os.environ["RAY_RAYLET_PID"]))
        yield Metric("begun", begun)
        yield Metric("ended", time.time())"""
ENDS = """if data.seed == 1:
            print("parent", os.getppid(), flush=True)
            time.sleep(60)
        yield Metric("lives", 1)"""
STAYS = """print("pid", os.getpid(), flush=True)
        time.sleep(600)
        yield Metric("stays", 1)"""
MODULES = {
    "ends_ray": EVALUATOR.format(name="ends-ray", metric="lives", body=ENDS),
    "stays": EVALUATOR.format(name="stays", metric="stays", body=STAYS),
}


@pytest.fixture(scope="module")
def cluster():
    """Address of the cluster."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'sslbench[ray]'")
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 << 20}
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False, **small}
    )
    nodes.add_node(num_cpus=2, num_gpus=2, **small)
    nodes.add_node(num_cpus=1, num_gpus=1, **small)
    yield nodes.address
    nodes.shutdown()


@pytest.fixture
def plugins(distribution, tmp_path):
    """Evaluators that say where they run when as many run as there are GPUs, wait for Ray's worker to be killed, or do
    not end."""
    (met := tmp_path / "met").mkdir()
    where = EVALUATOR.format(name="where", metric="gpu", body=WHERE.format(folder=str(met)))
    distribution("on-ray", ENTRIES, {**MODULES, "where_it_runs": where})
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


class Killer:
    """Kills the worker of Ray that a cell names, when it is known here that the cell has begun: what a process says in
    its last moment may be lost with it."""

    def __init__(self):
        self.cells, self.pids = [], {}

    def __call__(self, event):
        if isinstance(event, CellStarted):
            self.cells.append(event.work)
        elif isinstance(event, Printed) and event.text.startswith("parent "):
            self.pids[event.work] = int(event.text.split()[1])
        for work in self.pids.keys() & set(self.cells):
            os.kill(self.pids.pop(work), signal.SIGKILL)


def run_on(address, out, evaluators, seeds, on_event=None, **params):
    """Run raw pixels with some evaluators and seeds, on GPUs that are only counted."""
    given = ",".join(f"{key}={value}" for key, value in {"address": address, "gpus": 1, **params}.items())
    settings = {"device": "cpu", "precision": "fp32", "train_images": 128}
    overrides = Overrides({"method": ["raw-pixels"], "evaluator": evaluators}, seeds, settings)
    return run(Request("quick", overrides, out=out, executor=f"ray:{given}"), on_event)


@pytest.mark.usefixtures("plugins")
def test_four_works_have_a_gpu_each_and_files_come_back_without_a_shared_folder(cluster, tmp_path):
    outcome = run_on(cluster, tmp_path, ["where"], [0, 1, 2, 3], shared="false")
    assert outcome.exit_code == 0, [record.reason for record in outcome.records]
    seen = [{name: metric.value for name, metric in record.metrics.items()} for record in outcome.records]
    assert len(seen) == 4
    for one, other in itertools.combinations(seen, 2):
        apart = one["ended"] <= other["begun"] or other["ended"] <= one["begun"]
        assert apart or (one["node"], one["gpu"]) != (other["node"], other["gpu"])
    assert {place["gpu"] for place in seen} == {0, 1}
    assert len({place["node"] for place in seen}) == 2
    for record in outcome.records:
        files = pretraining_files(tmp_path, record.pretraining.key)
        assert all(check_digest(path) for path in (files.features, files.facts, files.data))
    again = run_on(cluster, tmp_path, ["where"], [0, 1, 2, 3], shared="false")
    assert (again.trained, again.records) == (0, outcome.records)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("shared", ["auto", "false"])
def test_a_worker_that_dies_costs_its_cell_alone(cluster, tmp_path, shared):
    outcome = run_on(cluster, tmp_path, ["ends-ray", "knn"], [0, 1], Killer(), shared=shared)
    ends = {(record.evaluator, record.seed): (record.status, record.reason) for record in outcome.records}
    assert ends == {
        ("ends-ray", 0): ("done", None),
        ("ends-ray", 1): ("failed", "lost: the Ray worker died"),
        ("knn", 0): ("done", None),
        ("knn", 1): ("done", None),
    }
    for record in outcome.records:
        assert check_digest(pretraining_files(tmp_path, record.pretraining.key).features)
    assert not list(tmp_path.glob(".sslbench-ray-*"))


def test_the_cluster_of_the_documentation_is_one_that_ray_starts():
    util = pytest.importorskip("ray.autoscaler._private.util", reason="needs Ray: pip install 'sslbench[ray]'")
    page = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text(encoding="utf-8")
    config = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    util.validate_config(util.prepare_config(config))
    assert set(config["available_node_types"]) == {"head", "gpu"}
    assert config["docker"]["image"].startswith(f"rayproject/ray:{import_module('ray').__version__.rsplit('.', 1)[0]}")


@pytest.mark.usefixtures("plugins")
def test_cancelled_work_ends_with_its_process(cluster, tmp_path, small_work):
    executor = build(RayParams(address=cluster), BuildContext(device="cpu"))
    work, events = small_work(tmp_path, "raw-pixels"), []
    work = type(work)(**{**vars(work), "evaluations": (Evaluation("c", PluginChoice("stays")),)})
    try:
        task = None

        def emit(event):
            events.append(event)
            if isinstance(event, Printed) and event.text.startswith("pid "):
                task.cancel()

        task = executor.submit(work, emit)
        task.thread.join(120)
    finally:
        executor.close()
    assert events[-1] == Ended("k0", Failure("cancelled", "cancelled"))
    assert any(isinstance(event, CellStarted) for event in events)
    (pid,) = [int(event.text.split()[1]) for event in events if isinstance(event, Printed) and "pid " in event.text]
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
