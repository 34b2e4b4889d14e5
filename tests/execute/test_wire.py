"""Work and events as lines: what is read is what was written, and anything else is refused."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from sslbench.contracts.executor import (
    CurveRequest,
    Ended,
    EpochEnded,
    Evaluation,
    Event,
    Failure,
    PluginChoice,
    TrainingProgress,
    TrainingSettings,
    Work,
)
from sslbench.execute import events
from sslbench.execute.event_file import EventFile
from sslbench.execute.wire import EVENTS, from_line, to_line
from sslbench.store.record import DataFacts, MetricValue, Record, TrainingFacts

WORK = Work(
    key="k",
    plugins={"method": PluginChoice("simclr", {"temperature": 0.1, "layers": [1, 2], "name": "ü\n"})},
    seed=3,
    training=TrainingSettings(epochs=2, device="cuda", time_limit=1.5, curve=("knn", {"name": "knn", "k": 3})),
    mask_ratio=1 / 3,
    evaluations=(Evaluation("c", PluginChoice("knn", {"k": 20}), {"evaluator": {"k": 20}}),),
    out="a folder",
    distributions={"sslbench": "1.0"},
    fresh=True,
    curve=CurveRequest(2, (PluginChoice("knn"),), {"every": 2}),
    codes={"the harness": "x"},
    evaluation_batch=64,
)
RECORD = Record(
    "c",
    "failed",
    method="simclr",
    seed=0,
    reason="2 lines\nof it",
    metrics={"top1": MetricValue(0.1 + 0.2, reason="x")},
    pretraining=TrainingFacts(key="k", losses=(0.1, 1e-300)),
)
EVERY = [
    events.PretrainingStarted("a", 0, 1, 2),
    events.PretrainingEnded(0, work="k"),
    events.StageStarted("training"),
    events.CellStarted("c"),
    events.Printed("ü"),
    events.Warned("w"),
    events.DataRead("digits", DataFacts(3, 4, sides=(1, 2), left_out={"odd": 1})),
    events.TrainingStarted(1, 2, 3, 4),
    events.StepsTimed("k", (0.1, 1 / 3)),
    events.RecordMade(RECORD),
    TrainingProgress(1, 2, 3, 4, math.pi, 5.5),
    EpochEnded(1, 2, math.pi, 1e-3, 5.5, {"knn/top1": 1 / 3, "knn/other": None}, {"spread": 0.1}, work="k"),
    EpochEnded(1, 2, None),
    Ended("k"),
    Ended("k", Failure("gone", "timeout", "detail")),
]


def test_work_is_read_as_it_was_written():
    line = to_line(WORK)
    assert "\n" not in line
    assert from_line(line) == WORK
    assert set(fields(WORK)) == set(fields(Work))


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_an_event_is_read_as_it_was_written(event):
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


def test_every_kind_of_event_can_be_sent():
    assert {type(event).__name__ for event in EVERY} == set(EVENTS)


def test_an_event_of_somebody_elses_kind_is_refused():
    class Own(Event):
        pass

    with pytest.raises(TypeError, match=r"events that can be sent are .*Warned, not Own"):
        to_line(Own())


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", '{"kind": "Nothing"}', '{"kind": "Work"}', '{"kind": "Warned"}', '{"text": "no kind"}']
)
def test_anything_else_is_refused_in_one_line(line):
    with pytest.raises(ValueError, match="neither work nor an event") as error:
        from_line(line)
    assert "\n" not in str(error.value).partition("(")[0]


def test_a_file_of_events_is_read_while_it_is_written(tmp_path):
    path = tmp_path / "events" / "k.jsonl"
    writer, reader = EventFile(path), EventFile(path)
    assert reader.new() == []
    writer.append(events.Warned("one"))
    assert reader.new() == [events.Warned("one")]
    writer.append(events.Warned("two"))
    writer.append(Ended("k"))
    assert reader.new() == [events.Warned("two"), Ended("k")]
    assert reader.new() == []
    assert len(EventFile(path).new()) == 3


def test_a_line_that_is_being_written_waits_and_one_that_was_torn_is_named(tmp_path):
    path = tmp_path / "k.jsonl"
    line = to_line(events.Warned("one")).encode()
    reader = EventFile(path)
    path.write_bytes(line[:10])
    assert reader.new() == []
    path.write_bytes(line + b"\n" + line[:10])
    assert reader.new() == [events.Warned("one")]
    EventFile(path).append(events.Warned("two"))  # a job that was killed within its line, and one that goes on
    torn, whole = reader.new()
    assert torn.text.startswith(f"{path}: neither work nor an event")
    assert whole == events.Warned("two")


def test_work_among_events_is_named(tmp_path):
    path = tmp_path / "k.jsonl"
    path.write_text(to_line(WORK) + "\n")
    assert EventFile(path).new() == [events.Warned(f"{path}: holds work among its events")]
