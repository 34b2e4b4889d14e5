from __future__ import annotations

import io
import re
import sys

import pytest

from sslbench.cli.progress import Display
from sslbench.execute.events import PretrainingStarted, RecordMade, StageStarted, StepsTimed, Warned
from sslbench.store.record import Record
from sslbench.train.task import TrainingProgress

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


def test_anything_else_gets_warnings_alone_and_each_once(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == "sslbench: digits: something was left out\n"
