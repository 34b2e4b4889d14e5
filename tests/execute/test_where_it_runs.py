"""Which executor a request gets, and what a worker refuses."""

from __future__ import annotations

import pytest
from PIL import Image

from sslbench import UserError
from sslbench.contracts import defaults
from sslbench.contracts.executor import PluginChoice
from sslbench.execute import scheduler
from sslbench.execute.command import command_of
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.choose import chosen
from sslbench.plan.identity import harness_identity
from sslbench.plan.reference import Reference
from sslbench.plan.suite import Overrides

PLUGINS = """
    '''Executors that do not run anything here.'''
    from sslbench import Ended, ExecutorSpec, Failure, hookimpl

    SUBMITTED = []

    class Handle:
        def cancel(self):
            pass

    class Cluster:
        '''Takes everything, and says nothing of it now.'''
        slots = 1

        def devices(self):
            return ("cuda",)

        def submit(self, work, emit):
            SUBMITTED.append(work)
            return Handle()

        def close(self):
            pass

    class Lossy(Cluster):
        '''Loses everything.'''

        def submit(self, work, emit):
            SUBMITTED.append(work)
            emit(Ended(work.key, Failure("lost: it is gone", detail="its last words")))
            return Handle()

    @hookimpl
    def sslbench_executors():
        return [
            ExecutorSpec(name="cluster", summary=__doc__, build=lambda p, c: Cluster(), detaches=True),
            ExecutorSpec(name="lossy", summary=__doc__, build=lambda p, c: Lossy()),
        ]
"""
AXES = {"method": ["raw-pixels"], "evaluator": ["knn", "linear-probe"]}
SEEDS = (0, 1)


@pytest.fixture
def submitted(distribution):
    """The works that the executors of this module were given."""
    distribution("elsewhere", {"elsewhere": "elsewhere_executors"}, {"elsewhere_executors": PLUGINS})
    default_registry.cache_clear()
    default_registry().names("executor")
    import elsewhere_executors

    yield elsewhere_executors.SUBMITTED
    default_registry.cache_clear()


def request(out, **more):
    return Request(overrides=Overrides(AXES, SEEDS), out=out, **more)


def test_detached_work_is_all_submitted_and_what_is_left_is_said(tmp_path, submitted):
    outcome = run(request(tmp_path / "out", executor="cluster", detach=True))
    assert [work.seed for work in submitted] == [0, 1]
    assert (outcome.detached, outcome.records, outcome.exit_code) == (2, [], 0)
    assert outcome.unfinished[0].missing == 4
    assert "--detach" not in (outcome.unfinished[0].command or "")


def test_devices_of_a_cluster_are_planned_for_where_there_are_none(tmp_path, submitted):
    run(request(tmp_path / "out", executor="cluster", detach=True))
    assert {(work.training.device, work.training.precision) for work in submitted} == {("cuda", "bf16")}


def test_an_executor_that_needs_this_process_cannot_be_detached(tmp_path, submitted):
    with pytest.raises(UserError) as error:
        run(request(tmp_path / "out", executor="inline", detach=True))
    start = "--detach: work of executor 'inline' does not go on without this process; allowed: "
    assert str(error.value).startswith(start)
    assert "cluster" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_was_lost_is_stored_with_its_reason_and_run_again_next_time(tmp_path, submitted):
    out = tmp_path / "out"
    outcome = run(request(out, executor="lossy", retries=1))
    assert (outcome.statuses, outcome.exit_code, len(submitted)) == ({"failed": 4}, 1, 4)
    assert {(record.reason, record.traceback) for record in outcome.records} == {("lost: it is gone", "its last words")}
    assert {record.metrics[record.headline].value for record in outcome.records} == {None}
    assert [record.data_fingerprint == "" for record in outcome.records] == 4 * [False]
    again = run(request(out, executor="inline"))
    assert again.statuses == {"done": 4}


def test_a_worker_with_other_code_than_planned_refuses_and_names_the_plugin(small_work, do_work, tmp_path):
    codes = {"the harness": harness_identity(), "evaluator 'knn'": "knn-plus 2.0", "method 'simclr'": "elsewhere 1.0"}
    done = do_work(small_work(tmp_path, evaluators=("knn", "linear-probe"), codes=codes))
    assert [record.status for record in done.records] == ["failed", "failed"]
    reason = done.records[0].reason
    assert reason.startswith("refused: evaluator 'knn' is sslbench ")
    assert "here, knn-plus 2.0 in the plan, method 'simclr' is sslbench " in reason
    assert reason.endswith("; install the same where it is planned and where it runs")
    assert "harness" not in reason
    other = do_work(small_work(tmp_path, codes={"the harness": "sslbench 0.0.1+abc"}))
    assert other.records[0].reason.startswith("refused: the harness is sslbench ")


def test_images_that_changed_since_they_were_planned_are_not_filed_under_the_old_ones(small_work, do_work, tmp_path):
    photos = tmp_path / "photos"
    for name, grey in (("a", 0), ("b", 255)):
        (photos / name).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (8, 8), (grey, grey, number)).save(photos / name / f"{number}.png")
    choice = chosen("dataset", Reference("imagefolder", {"root": str(photos)}), default_registry())
    planned = choice.spec.fingerprint(choice.params)
    data = {"dataset": choice.plain, "backbone": None}
    work = small_work(tmp_path / "out", "raw-pixels", plugins=data, fingerprint=planned)
    assert [record.status for record in do_work(work).records] == ["done"]
    (photos / "a" / "9.png").write_bytes((photos / "a" / "0.png").read_bytes())
    (record,) = do_work(work).records
    assert record.status == "failed"
    assert record.reason == (
        "refused: the images of data set 'imagefolder' are not those of the plan; they were changed since, or this"
        " machine has others (names, sizes, times of change)"
    )


def test_weights_that_changed_since_they_were_planned_are_refused(small_work, do_work, tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"one")
    method = PluginChoice("pretrained", {"path": str(weights), "name": "resnet18"})
    work = small_work(tmp_path / "out", method, plugins={"backbone": None}, weights="of another file")
    (record,) = do_work(work).records
    assert record.reason == (
        "refused: the weights of method 'pretrained' are not those of the plan; they were changed since, or this"
        " machine has others"
    )


def chosen_executor(registry=None, **more):
    """The class of the executor that a request gets."""
    return type(scheduler.prepare(request(None, **more), registry or default_registry())[2]).__name__


def test_a_registry_of_ones_own_stays_in_this_process(monkeypatch, submitted):
    monkeypatch.delenv("SSLBENCH_EXECUTOR")
    monkeypatch.setattr(scheduler, "EXECUTOR", "cluster")
    assert chosen_executor() == "Cluster"
    assert chosen_executor(Registry()) == "Inline"
    assert chosen_executor(Registry(), executor="lossy") == "Lossy"


def test_the_environment_sets_the_default_and_the_command_line_wins(monkeypatch, submitted):
    monkeypatch.setenv("SSLBENCH_EXECUTOR", "cluster")
    assert chosen_executor() == "Cluster"
    assert chosen_executor(executor="lossy") == "Lossy"
    monkeypatch.setenv("SSLBENCH_EXECUTOR", "clusterr")
    with pytest.raises(UserError, match="^SSLBENCH_EXECUTOR: unknown executor 'clusterr'; did you mean 'cluster'"):
        chosen_executor()


def test_the_command_that_goes_on_has_executor_and_retries(tmp_path):
    assert command_of(Request("quick", executor="slurm:gpus=1", retries=2, detach=True)) == (
        "sslbench run quick --executor slurm:gpus=1 --retries 2"
    )
    assert command_of(Request("quick")) == "sslbench run quick"
    assert defaults.EXECUTOR
