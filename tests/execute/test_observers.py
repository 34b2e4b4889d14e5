"""Observers follow a run from a process of their own: they can change nothing of it, and it survives all they do."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import sslbench
from sslbench import UserError
from sslbench.contracts.executor import EpochEnded
from sslbench.execute import observer_process, observers
from sslbench.execute.command import command_of
from sslbench.execute.events import Printed, Warned
from sslbench.execute.observe import Calls, from_line, to_line
from sslbench.execute.request import Request
from sslbench.execute.scheduler import plan_only, prepare, run
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import parse_reference
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.testing.conformance.observers import epoch, observed_pretraining, observed_run, records

PLUGINS = """
    '''Observers that write down what they are given, and misbehave where they are asked to.'''
    import json, os, signal, sys, threading, time
    from dataclasses import asdict
    from pathlib import Path
    from sslbench import Observer, ObserverSpec, Params, UserError, hookimpl, param

    class NotesParams(Params):
        at: str = param("", "call to misbehave at")
        how: str = param("", "what to do then")
        name: str = param("calls", "of the file")

    class Notes(Observer):
        def __init__(self, params):
            self.params, self.given, self.last = params, [], {}

        def note(self, call, facts=None):
            self.given.append([call, json.loads(json.dumps(facts))])
            self.path.write_text(json.dumps(self.given))
            if call == self.params.at:
                misbehave(self.params.how)

        def run_started(self, run):
            self.path = Path(run.out) / f"{self.params.name}.json"
            if self.path.exists():
                self.given = json.loads(self.path.read_text())
            self.note("run_started", asdict(run))

        def pretraining_started(self, pretraining):
            self.note("pretraining_started", asdict(pretraining))
            runs = {facts["key"]: facts["run"] for call, facts in self.given if call == "pretraining_started"}
            epochs = [facts for call, facts in self.given if call == "epoch_ended"]
            if (self.params.at, self.params.how) == ("pretraining_started", "return"):
                return "seven"
            return max((e["epoch"] for e in epochs if runs[e["work"]] == pretraining.run), default=0)

        def epoch_ended(self, epoch):
            self.note("epoch_ended", asdict(epoch))

        def record_written(self, key, record):
            self.note("record_written", [key, record])
            record["metrics"].clear()

        def pretraining_ended(self, key, statuses):
            self.note("pretraining_ended", [key, statuses])

        def run_finished(self, statuses):
            self.note("run_finished", statuses)

        def close(self):
            self.note("close")

    def misbehave(how):
        if how == "raise":
            raise RuntimeError("no tracker today\\nsecond line")
        if how == "leave":
            sys.exit(3)
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hang":
            signal.pause()
        if how == "mistake":
            raise UserError("no room on the tracker's disk")
        if how == "garbage":
            for descriptor in range(3, 10):
                try:
                    os.write(descriptor, b"no reply\\n")
                except OSError:
                    pass
            signal.pause()
        if how == "thread":
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        if how == "close":
            os.closerange(3, 100)
            signal.pause()
        if how == "print":
            print("out")
            print("err", file=sys.stderr)
            os.write(1, b"descriptor\\n")

    def build(params, context):
        misbehave(params.how if params.at == "build" else "")
        return Notes(params)

    @hookimpl
    def sslbench_observers():
        return [
            ObserverSpec(name="notes", params=NotesParams, build=build),
            ObserverSpec(name="none", build=lambda params, context: object()),
        ]
"""
SMALL = {"epochs": 2, "batch_size": 32, "train_images": 64, "evaluate_on": "validation", "device": "cpu"}


@pytest.fixture
def notes(distribution):
    distribution("noted", {"noted": "noted_observers"}, {"noted_observers": PLUGINS})
    default_registry.cache_clear()
    yield Registry()
    default_registry.cache_clear()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What comes out without observers."""
    return run(request(tmp_path_factory.mktemp("plain")))


def request(out, *given, training=(), method="simclr", evaluator=("knn",), seeds=(0,), **more):
    axes = {"method": [method], "backbone": ["convnet-small:width=4"], "evaluator": list(evaluator)}
    overrides = Overrides(axes, seeds, {**SMALL, **dict(training)})
    return Request(overrides=overrides, out=out, observers=given, **more)


def calls(out, name="calls"):
    return json.loads((out / f"{name}.json").read_text())


def names(out, name="calls"):
    return [call for call, _ in calls(out, name)]


def numbers(outcome):
    return [(record.status, record.metrics, record.pretraining.losses) for record in outcome.records]


def warnings(events):
    return [event.text for event in events if isinstance(event, Warned) and "observer" in event.text]


WHOLE = ["run_started", "pretraining_started", "epoch_ended", "epoch_ended"]
WHOLE += ["record_written", "record_written", "pretraining_ended", "run_finished", "close"]


def test_an_observer_gets_the_whole_run_in_order_and_in_plain_values(tmp_path, notes):
    settings = {"curve_every": 1, "curve": ["knn"]}
    asked = request(tmp_path, "notes", training=settings, evaluator=("knn:k=5", "knn:k=1"))
    outcome = run(asked, registry=notes)
    assert outcome.exit_code == 0
    assert names(tmp_path) == WHOLE
    by_name = {}
    for call, facts in calls(tmp_path):
        by_name.setdefault(call, []).append(facts)
    started, pretraining = by_name["run_started"][0], by_name["pretraining_started"][0]
    assert (started["suite"], started["out"], started["cells"]) == ("quick", str(tmp_path), 2)
    assert started["command"] == command_of(asked)
    assert "--observer notes" in started["command"]
    assert started["settings"]["epochs"] == pretraining["settings"]["epochs"] == 2
    assert pretraining["plugins"]["method"]["params"]["temperature"] > 0
    assert sorted(pretraining["evaluators"].values()) == ["knn k=1", "knn k=5"]
    assert len(pretraining["run"]) == 16
    epochs = by_name["epoch_ended"]
    assert [e["loss"] for e in epochs] == list(outcome.records[0].pretraining.losses)
    assert [e["metrics"]["knn/knn_top1"] for e in epochs] == [
        point.metrics["knn_top1"].value for point in outcome.records[0].pretraining.curve
    ]
    assert all(e["learning_rate"] > 0 and e["images_per_second"] > 0 for e in epochs)
    assert [record for _, record in by_name["record_written"]] == [
        json.loads(json.dumps(record.to_json())) for record in outcome.records
    ]
    assert by_name["pretraining_ended"] == [[pretraining["key"], {"done": 2}]]
    assert by_name["run_finished"] == [{"done": 2}]


@pytest.mark.parametrize(
    ("at", "how", "words"),
    [
        ("epoch_ended", "raise", "epoch_ended raised RuntimeError: no tracker today"),
        ("run_started", "mistake", "no room on the tracker's disk"),
        ("pretraining_started", "leave", "pretraining_started raised SystemExit: 3"),
        ("record_written", "die", r"its process was killed \(SIGKILL\)"),
        ("epoch_ended", "garbage", "its process writes to a descriptor that is not its own"),
        ("epoch_ended", "close", "its process closed what it replies to"),
        (
            "pretraining_started",
            "return",
            r"pretraining_started raised TypeError: it must return the last epoch that it has, .* not 'seven'",
        ),
        ("close", "raise", "close raised RuntimeError: no tracker today"),
    ],
)
def test_one_that_fails_is_named_once_and_switched_off_and_nothing_else_changes(
    plain, tmp_path, notes, monkeypatch, at, how, words
):
    monkeypatch.setattr(observer_process, "LEAVING", 1.0)
    events = []
    out = tmp_path / "out"
    outcome = run(request(out, f"notes:at={at},how={how}", "notes:name=other"), events.append, notes)
    assert numbers(outcome) == numbers(plain)
    warning, *count = warnings(events)
    assert len(count) == (at != "close")  # which comes after all events
    assert all(re.fullmatch(r"observer 'notes' took \d of 7 events", line) for line in count)
    assert re.fullmatch(f"observer 'notes' is switched off: {words}", warning)
    assert names(out)[-1] == at
    assert names(out, "other")[-1] == "close"


def test_one_that_hangs_is_ended_after_the_run_and_says_what_it_had_not_taken(tmp_path, notes, monkeypatch):
    monkeypatch.setattr(observers, "PATIENCE", 0.5)
    events = []
    outcome = run(request(tmp_path, "notes:at=epoch_ended,how=hang"), events.append, notes)
    assert outcome.exit_code == 0
    assert warnings(events) == [
        "observer 'notes' is switched off: it was not done 0.5 s after the run",
        "observer 'notes' took 2 of 7 events",
    ]


def test_one_that_is_far_behind_is_ended(tmp_path, notes, monkeypatch):
    monkeypatch.setattr(observer_process, "MOST_BEHIND", 2)
    events = []
    run(request(tmp_path, "notes:at=run_started,how=hang", method="raw-pixels"), events.append, notes)
    assert warnings(events) == [
        "observer 'notes' is switched off: it is 2 events behind",
        "observer 'notes' took 0 of 5 events",
    ]


def test_what_it_prints_is_an_event_as_what_workers_print(tmp_path, notes, capfd):
    events = []
    run(request(tmp_path, "notes:at=run_started,how=print", method="raw-pixels"), events.append, notes)
    printed = [event.text for event in events if isinstance(event, Printed)]
    assert sorted(printed) == ["descriptor", "err", "out"]
    assert capfd.readouterr().out == ""


def test_what_a_thread_of_it_raises_is_one_line(tmp_path, notes):
    events = []
    run(request(tmp_path, "notes:at=run_started,how=thread", method="raw-pixels"), events.append, notes)
    printed = [event.text for event in events if isinstance(event, Printed)]
    assert printed == ["a thread of the observer raised ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nots", r"--observer: unknown observer 'nots'; did you mean 'notes'\? \(see: sslbench list observer\)"),
        ("notes:att=3", r"--observer: observer 'notes': unknown parameter 'att'; did you mean 'at'\? \(allowed: at"),
        ("notes:at=build,how=mistake", "no room on the tracker's disk"),
        ("notes:at=build,how=raise", "observer 'notes' cannot be built: RuntimeError: no tracker today"),
        ("notes:at=build,how=die", r"observer 'notes': its process was killed \(SIGKILL\)"),
        ("none", "observer 'none' cannot be built: TypeError: build must return an Observer, not object"),
    ],
)
def test_a_mistake_ends_the_run_before_anything_runs(tmp_path, notes, given, words):
    with pytest.raises(UserError, match=words):
        run(request(tmp_path / "out", given), registry=notes)
    assert not (tmp_path / "out").exists()


def test_all_that_cannot_be_built_are_named_at_once(tmp_path, notes):
    with pytest.raises(UserError) as error:
        run(request(tmp_path, "notes:at=build,how=mistake", "notes:at=build,how=die"), registry=notes)
    assert len(error.value.messages) == 2


def test_a_run_that_goes_on_reports_each_epoch_once_in_the_same_run(tmp_path, notes):
    """The first run is interrupted within its training, the second one ends it."""

    def interrupt(event):
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise KeyboardInterrupt

    asked = request(tmp_path, "notes", training={"epochs": 4, "checkpoint_every": 1e-9})
    first = run(asked, interrupt, notes)
    assert first.interrupted
    assert names(tmp_path)[-2:] == ["run_finished", "close"]
    assert run(asked, registry=notes).exit_code == 0
    epochs = [facts["epoch"] for call, facts in calls(tmp_path) if call == "epoch_ended"]
    assert epochs == [1, 2, 3, 4]
    runs = [facts["run"] for call, facts in calls(tmp_path) if call == "pretraining_started"]
    assert len(runs) == 2
    assert len(set(runs)) == 1


def test_an_observer_that_comes_later_gets_the_epochs_from_before(tmp_path, notes):
    run(request(tmp_path), registry=notes)
    outcome = run(request(tmp_path, "notes", evaluator=("label-free",)), registry=notes)
    epochs = [facts for call, facts in calls(tmp_path) if call == "epoch_ended"]
    assert [facts["loss"] for facts in epochs] == list(outcome.records[0].pretraining.losses)


def test_observers_are_no_part_of_a_key_and_make_nothing_stale(tmp_path, notes):
    run(request(tmp_path), registry=notes)
    plan = plan_only(request(tmp_path, "notes"), notes)
    assert [item.state for item in plan.planned] == ["done"]


def test_what_was_done_before_is_counted_and_not_reported(tmp_path, notes):
    run(request(tmp_path, method="raw-pixels"), None, notes)
    events = []
    run(request(tmp_path, "notes", method="raw-pixels", evaluator=("knn", "label-free")), events.append, notes)
    assert warnings(events) == ["observers get nothing of what was done before: 1 of 2 cells"]
    assert names(tmp_path).count("record_written") == 1


def test_a_suite_names_observers_and_the_command_line_replaces_them(tmp_path, notes):
    def named(data, *given):
        axes = {"method": ["raw-pixels"], "evaluator": ["knn"], "dataset": ["digits"]}
        raw = RawSuite("mine", "mine.toml", {"axes": axes, **data})
        return [choice.params.name for choice in prepare(Request(raw, observers=given, out=tmp_path), notes)[3]]

    both = {"observers": ["notes", {"name": "notes", "at": "close"}]}
    assert named(both) == ["calls", "calls"]
    assert named(both, "notes:name=mine") == ["mine", "mine"], "both as the suite has them, but for the name"
    assert named(both, "notes:preset=default,name=mine") == ["mine"]
    with pytest.raises(UserError, match=r"mine.toml: observers\[0\]: unknown observer 'nots'; did you mean"):
        named({"observers": ["nots"]})
    with pytest.raises(UserError, match="mine.toml: observers = 'notes'"):
        named({"observers": "notes"})
    with pytest.raises(UserError, match=r"mine.toml: observers\[0\] = 3: expected"):
        named({"observers": [3]})


def test_python_names_observers_as_it_names_methods(tmp_path, notes):
    given = ["notes", {"name": "notes", "at": "close"}]
    sslbench.run(methods="raw-pixels", evaluators="knn", out=tmp_path, observers=given, progress=False)
    assert names(tmp_path)[-1] == "close"
    with pytest.raises(UserError, match="observers: unknown observer 'nots'; did you mean 'notes'"):
        sslbench.run(methods="raw-pixels", out=tmp_path, observers="nots", progress=False)


def test_a_call_is_read_as_it_was_written():
    for call, *given in (
        ("run_started", observed_run("out")),
        ("pretraining_started", observed_pretraining()),
        ("epoch_ended", replace(epoch(1), loss=1 / 3)),
        ("record_written", "key", records()[0]),
        ("run_finished", {"done": 1}),
    ):
        assert from_line(to_line(call, *given)) == (call, given)


def test_epochs_that_come_again_are_left_out():
    taken = []

    class Had:
        def pretraining_started(self, pretraining):
            return 2

        def epoch_ended(self, epoch):
            taken.append(epoch.epoch)

    made = Calls(Had())
    made.do("pretraining_started", [observed_pretraining()])
    for number in (1, 2, 3, 1, 2, 3, 4):
        made.do("epoch_ended", [epoch(number)])
    assert taken == [3, 4]


def test_one_whose_run_is_killed_takes_what_came_and_ends(tmp_path, notes, gone):
    """The pipe of a process that was killed is closed, however it was killed."""
    choice = chosen("observer", parse_reference("notes"), notes)
    process = observer_process.ObserverProcess(choice)
    process.check_built()
    for call in (to_line("run_started", observed_run(str(tmp_path))), to_line("epoch_ended", epoch(1))):
        process.send(call)
    process._queue.put(None)  # closes the pipe, as a kill does
    assert process.ended.wait(60)
    gone(process._process.pid)
    assert names(tmp_path) == ["run_started", "epoch_ended", "close"]
