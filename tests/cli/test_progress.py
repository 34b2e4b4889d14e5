from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from sslbench.contracts.executor import TrainingProgress
from sslbench.execute.events import (
    PretrainingEnded,
    PretrainingStarted,
    Printed,
    RecordMade,
    StageStarted,
    StepsTimed,
    Warned,
)
from sslbench.progress.display import Display
from sslbench.progress.notebook_lines import NotebookLines
from sslbench.progress.time_left import TimeLeft, duration, in_digits
from sslbench.progress.under_way import distinct
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


def step(done, of=660, work=""):
    return TrainingProgress(
        epoch=3, epochs=15, step=done, total_steps=of, loss=1.25, images_per_second=2081.0, work=work
    )


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


def several(*numbers, of=12):
    """Pretrainings that begin, each with its own key."""
    names = (
        "simclr affine digits convnet-small seed 0",
        "dino affine digits vit seed 1",
        "simclr affine digits vit seed 1",
    )
    return [PretrainingStarted(names[n], n, pretrainings=of, cells=of, work=f"k{n}") for n in numbers]


def test_where_several_run_each_line_says_which_it_is_about(monkeypatch):
    first, second = several(0, 1)
    events = [
        *(first, second, 10, step(10, work="k0"), 50, step(20, work="k1"), 70, StageStarted("extracting", work="k0")),
        *(PretrainingEnded(0, work="k0"), 70, step(20, work="k1"), PretrainingEnded(1, work="k1")),
    ]
    assert lines_of(monkeypatch, events) == [
        "sslbench: 1 of 12: simclr affine digits convnet-small seed 0",
        "sslbench: 2 of 12: dino affine digits vit seed 1",
        "sslbench: 2 of 12 dino affine digits vit seed 1: epoch 3/15  2,081 images/s  loss 1.250",
        "sslbench: 1 of 12 simclr affine digits convnet-small seed 0: extracting",
        "sslbench: 1 of 12 simclr affine digits convnet-small seed 0: ended after 2 min, 11 min left for all",
        "sslbench: 2 of 12: epoch 3/15  2,081 images/s  loss 1.250, 11 min left for all",
        "sslbench: 2 of 12: ended after 3 min, 14 min left for all",
    ]


def test_between_beginnings_and_ends_there_is_one_line_a_minute_in_all(monkeypatch):
    events = several(0, 1, 2)
    events += [item for _ in range(12) for number in range(3) for item in (5, step(10, work=f"k{number}"))]
    assert len(lines_of(monkeypatch, events)) == 3 + 3 * 12 * 5 // 60


def test_what_a_worker_prints_is_shown_as_it_is_each_time(monkeypatch):
    printed = [Printed("epoch 1", work="k0"), Printed("epoch 1", work="k1"), Printed("\x1b[2J", work="k1")]
    assert lines_of(monkeypatch, printed) == ["epoch 1", "epoch 1", r"\x1b[2J"]


def screen(monkeypatch, events, columns=80, lines=24):
    """What a terminal of this size shows at the end of the events."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    for name, value in {"TERM": "xterm", "COLUMNS": columns, "LINES": lines}.items():
        monkeypatch.setenv(name, str(value))
    display = Display(clock=Clock())
    for event in events:
        display.show(event)
    console = Console(file=io.StringIO(), width=columns, height=lines)
    console.print(display._live.progress.get_renderable())
    return [
        " ".join(line.translate(dict.fromkeys(map(ord, "━╸╺"))).split())
        for line in console.file.getvalue().splitlines()
    ]


def test_a_terminal_has_a_line_for_each_that_runs_and_says_in_what_they_differ(monkeypatch):
    events = [*several(0, 1), StageStarted("training", work="k0"), StageStarted("extracting features", work="k1")]
    events += [step(90, work="k0"), RecordMade(Record("c", "done", "simclr", 0), work="k1")]
    assert screen(monkeypatch, events, columns=120) == [
        "2 of 12 2 at a time --:--",
        "1 simclr convnet-small seed 0 epoch 3/15 2,081 images/s loss 1.250 --:--",
        "2 dino vit seed 1 extracting features",
    ]
    assert screen(monkeypatch, events) == [
        "2 of 12 2 at a time --:--",
        "1 simclr …l seed 0 epoch 3/15 2,081 images/s loss 1.250 --:--",
        "2 dino vit seed 1 extracting features",
    ]


def test_a_terminal_goes_back_to_one_line_with_the_last(monkeypatch):
    events = [*several(0, 1), StageStarted("extracting features", work="k1"), PretrainingEnded(0, work="k0")]
    assert screen(monkeypatch, events) == ["2 of 12 dino affine digits vit seed 1 0:00", "extracting features"]


def test_a_terminal_shows_as_many_as_it_has_rows_for(monkeypatch):
    assert len(screen(monkeypatch, several(0, 1, 2), lines=4)) == 1 + 2


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a b seed 0", "a c seed 0"], ["b", "c"]),
        (["a b seed 0", "a b seed 1"], ["seed 0", "seed 1"]),
        (["a b seed 0", "a b seed 0"], ["", ""]),
        (["a b c seed 0", "d c seed 0"], ["a b", "d"]),
        (["a b seed 0"], [""]),
        ([], []),
    ],
)
def test_names_are_shortened_to_what_differs(names, labels):
    assert distinct(names) == labels


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
    training = left.begin(waiting=3)
    training.step(10, 100)
    assert (training.left, left.suite) == (None, None)
    clock.now = 20.0
    training.step(20, 100)
    assert (training.left, left.suite) == (160.0, None)


def test_the_time_left_of_a_run_is_never_below_that_of_its_training():
    clock = Clock()
    left = TimeLeft(clock)
    training = left.begin(waiting=1)
    clock.now = 10.0
    left.end(training)
    assert left.suite == 10.0  # the one that waits
    training = left.begin(waiting=0)
    assert left.suite == 10.0
    training.step(0, 1000)
    clock.now = 20.0
    training.step(10, 1000)
    assert training.left == 990.0
    assert left.suite == 990.0


def test_what_waits_is_divided_among_as_many_as_run_at_once():
    clock = Clock()
    left = TimeLeft(clock)
    first, second = left.begin(waiting=6), left.begin(waiting=5)
    clock.now = 10.0
    left.end(first)
    assert left.suite == 30.0  # five more, of ten seconds each; the second ends now
    left.begin(waiting=4)
    clock.now = 15.0
    second.step(0, 100)
    clock.now = 16.0
    second.step(1, 100)
    assert second.left == 99.0
    assert left.suite == 99.0  # while the other slot takes all that wait: 4 + 4 * 10
    second.trained()
    assert left.suite == 24.0  # 0 and 4 until the slots are free, then two more in each


def test_steps_of_an_earlier_run_are_no_speed():
    clock = Clock()
    training = TimeLeft(clock).begin(waiting=0)
    training.step(900, 1000)
    clock.now = 10.0
    training.step(910, 1000)
    assert training.left == 90.0
    training.trained()
    assert training.left is None


@pytest.mark.parametrize(
    ("seconds", "words", "digits"),
    [(0, "0 s", "0:00"), (59.2, "59 s", "1:00"), (150, "2 min", "2:30"), (11100, "3 h 5 min", "3:05:00")],
)
def test_durations_are_short(seconds, words, digits):
    assert (duration(seconds), in_digits(seconds)) == (words, digits)
    assert in_digits(None) == "--:--"


class Output:
    """An output of a notebook, as IPython's ``display`` returns it."""

    def __init__(self):
        self.drawn = []

    def display(self, data, raw, display_id):
        self.drawn.append(data["text/html"])
        return self

    def update(self, data, raw):
        self.drawn.append(data["text/html"])


def test_a_notebook_shows_bars_without_widgets_and_takes_them_away(monkeypatch, capsys):
    output, seconds = Output(), iter(range(100))
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=output.display))
    with Display(clock=lambda: float(next(seconds))) as display:
        for event in EVENTS:
            display.show(event)
        shown = output.drawn[-1]
    assert '<progress max="660" value="90"></progress>' in shown
    assert "2 of 8 · simclr affine digits convnet-small seed 0" in shown
    assert "epoch 3/15  2,081 images/s  loss 1.250" in shown
    assert output.drawn[-1] == ""
    assert capsys.readouterr().out == "sslbench: digits: something was left out\n"


def test_a_notebook_draws_at_most_four_times_a_second_and_escapes_names(monkeypatch):
    output = Output()
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=output.display))
    lines = NotebookLines(lambda: 0.0)
    lines.start()
    for _ in range(3):
        lines.show(PretrainingStarted("<b>", number=0, pretrainings=1, cells=1))
    assert len(output.drawn) == 2
    assert "&lt;b&gt;" in output.drawn[-1]
