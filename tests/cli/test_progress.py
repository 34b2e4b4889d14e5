from __future__ import annotations

import io
import re
import sys

import pytest

from sslbench.cli.progress import Display
from sslbench.cli.time_left import TimeLeft, duration, in_digits
from sslbench.contracts.executor import TrainingProgress
from sslbench.execute.events import (
    PretrainingEnded,
    PretrainingStarted,
    RecordMade,
    StageStarted,
    StepsTimed,
    Warned,
)
from sslbench.store.record import Record

NAME = "simclr affine digits convnet-small seed 0"
EVENTS = [
    PretrainingStarted(NAME, number=1, pretrainings=8, cells=24),
    StageStarted("reading images"),
    Warned("digits: something was left out"),
    Warned("digits: something was left out"),
    TrainingProgress(epoch=3, epochs=15, step=90, total_steps=660, loss=1.25, images_per_second=2081.0),
    StepsTimed("k", (1.0,)),
    RecordMade(Record("c", "done", "simclr", 0)),
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with Display() as display:
        for event in EVENTS:
            display.show(event)
            if display._live:
                display._live.progress.refresh()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_what_is_trained_which_epoch_how_fast_and_what_is_left(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    text = shown(monkeypatch, Terminal())
    assert "2 of 8" in text
    assert NAME in text
    assert "epoch 3/15  2,081 images/s  loss 1.250" in text
    assert re.search(r"loss 1\.250\s+(\d+:\d\d|--:--)", text)
    assert text.count("something was left out") == 1
    assert max(len(line) for line in text.replace("\r", "\n").splitlines()) <= columns


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def step(done, of=660):
    return TrainingProgress(epoch=3, epochs=15, step=done, total_steps=of, loss=1.25, images_per_second=2081.0)


def lines_of(monkeypatch, timed_events):
    """What is printed without a terminal; a number lets seconds pass."""
    stream, clock = io.StringIO(), Clock()
    monkeypatch.setattr(sys, "stderr", stream)
    with Display(clock=clock) as display:
        for item in timed_events:
            if isinstance(item, (int, float)):
                clock.now += item
            else:
                display.show(item)
    return stream.getvalue().splitlines()


def test_without_a_terminal_a_pretraining_has_a_line_at_its_beginning_and_its_end(monkeypatch):
    first, second = (PretrainingStarted(f"m{number}", number, pretrainings=2, cells=2) for number in (0, 1))
    events = [first, step(10), 5, step(20), 9, PretrainingEnded(0), second, step(10), 125, PretrainingEnded(1)]
    assert lines_of(monkeypatch, events) == [
        "sslbench: 1 of 2: m0",
        "sslbench: 1 of 2: ended after 14 s, 14 s left for all",
        "sslbench: 2 of 2: m1",
        "sslbench: 2 of 2: ended after 2 min",
    ]


def test_in_between_there_is_at_most_one_line_a_minute(monkeypatch):
    events = [PretrainingStarted("m", 0, pretrainings=1, cells=1), StageStarted("training")]
    events += [item for done in range(1, 16) for item in (10, step(done, of=30))]
    assert lines_of(monkeypatch, events) == [
        "sslbench: 1 of 1: m",
        "sslbench: 1 of 1: epoch 3/15  2,081 images/s  loss 1.250, 4 min left",
        "sslbench: 1 of 1: epoch 3/15  2,081 images/s  loss 1.250, 3 min left",
    ]


def test_what_has_no_pretraining_says_at_once_what_it_does_and_then_once_a_minute(monkeypatch):
    stages = [StageStarted(f"model {number}") for number in range(4)]
    events = [stages[0], 1, stages[1], 60, stages[2], 30, stages[3]]
    assert lines_of(monkeypatch, events) == ["sslbench: model 0", "sslbench: model 2"]


def test_a_line_is_sent_at_once(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(raw, 1 << 16), "utf-8"))
    Display(clock=Clock()).show(PretrainingStarted("m", 0, pretrainings=1, cells=1))
    assert raw.getvalue() == b"sslbench: 1 of 1: m\n"


def test_warnings_are_printed_once_each_and_in_one_line(monkeypatch):
    warned = Warned("a.png\n\x1b[2J: damaged")
    assert lines_of(monkeypatch, [warned, warned]) == [r"sslbench: a.png\n\x1b[2J: damaged"]


def test_a_terminal_shows_names_as_they_are_and_no_control_characters(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with Display(clock=Clock()) as display:
        display.show(PretrainingStarted("[red]m[/blue]", 0, pretrainings=1, cells=1))
        display.show(StageStarted("reading \x1b]0;title\x07"))
        display._live.progress.refresh()
    assert "[red]m[/blue]" in stream.getvalue()
    assert r"\x1b]0;title\x07" in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_nothing_is_claimed_of_a_run_before_a_pretraining_has_ended():
    clock = Clock()
    left = TimeLeft(clock)
    left.begin(waiting=3)
    left.step(10, 100)
    assert (left.training, left.suite) == (None, None)
    clock.now = 20.0
    left.step(20, 100)
    assert (left.training, left.suite) == (160.0, None)


def test_the_time_left_of_a_run_is_never_below_that_of_its_training():
    clock = Clock()
    left = TimeLeft(clock)
    left.begin(waiting=1)
    clock.now = 10.0
    left.end()
    assert left.suite == 10.0  # the one that waits
    left.begin(waiting=0)
    assert left.suite == 10.0
    left.step(0, 1000)
    clock.now = 20.0
    left.step(10, 1000)
    assert left.training == 990.0
    assert left.suite == 990.0


def test_steps_of_an_earlier_run_are_no_speed():
    clock = Clock()
    left = TimeLeft(clock)
    left.begin(waiting=0)
    left.step(900, 1000)
    clock.now = 10.0
    left.step(910, 1000)
    assert left.training == 90.0
    left.trained()
    assert left.training is None


@pytest.mark.parametrize(
    ("seconds", "words", "digits"),
    [(0, "0 s", "0:00"), (59.2, "59 s", "1:00"), (150, "2 min", "2:30"), (11100, "3 h 5 min", "3:05:00")],
)
def test_durations_are_short(seconds, words, digits):
    assert (duration(seconds), in_digits(seconds)) == (words, digits)
    assert in_digits(None) == "--:--"
