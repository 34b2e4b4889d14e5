"""``--quiet`` and what the environment says of terminals: progress and notes go, warnings and errors stay."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from sslbench.cli.group import COMMANDS, imported
from sslbench.cli.main import call
from sslbench.cli.streams import has_colours
from sslbench.contracts.executor import TrainingProgress
from sslbench.execute.events import PretrainingStarted, Printed, StageStarted, Warned
from sslbench.progress.display import Display
from sslbench.progress.live_lines import LiveLines

MINI = ["run", "-m", "raw-pixels", "-e", "knn", "--executor", "inline"]
EVENTS = [
    PretrainingStarted("simclr digits", number=0, pretrainings=1, cells=1),
    StageStarted("reading images"),
    Warned("digits: something was left out"),
    Printed("what a plugin printed"),
    TrainingProgress(epoch=3, epochs=15, step=90, total_steps=660, loss=1.25, images_per_second=2081.0),
]
COLOUR = re.compile(r"\x1b\[(\d+;)*(3[0-8]|9[0-7])[;\dm]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, quiet=False):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "100")
    with Display(quiet=quiet) as display:
        for event in EVENTS:
            display.show(event)
            if display._live:
                display._live.progress.refresh()
    return stream.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_quiet(name):
    assert "-q, --quiet" in imported(name).get_help(imported(name).context_class(imported(name)))


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_a_quiet_run_prints_its_result_alone(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    assert call([*MINI, option, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["records"]
    assert err == ""
    assert call([*MINI, "--format", "json"]) == 0
    assert "results: sslbench-results" in capsys.readouterr().err  # --quiet was of that command alone


def test_warnings_and_errors_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert call([*MINI, "-q", "--out", "file/below"]) == 3
    err = capsys.readouterr().err
    assert "not stored: " in err
    assert call([*MINI, "-q", "--set", "x"]) == 2
    assert capsys.readouterr().err == "sslbench: error: --set 'x' is not KEY=VALUE\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_quiet_display_shows_warnings_and_what_plugins_print(monkeypatch, stream):
    monkeypatch.setenv("TERM", "xterm")
    expected = "sslbench: digits: something was left out\nwhat a plugin printed\n"
    assert shown(monkeypatch, stream(), quiet=True) == expected


def test_a_terminal_without_a_cursor_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = shown(monkeypatch, Terminal())
    assert "\x1b" not in text
    assert "sslbench: 1 of 1: simclr digits\n" in text


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "0", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_bars_have_colours_unless_the_environment_says_no(monkeypatch, environment, coloured):
    for name in ("NO_COLOR", "CLICOLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm-256color"} | environment).items():
        monkeypatch.setenv(name, value)
    text = shown(monkeypatch, Terminal())
    assert "\x1b[" in text  # the bars move
    assert bool(COLOUR.search(text)) == coloured


def test_a_file_gets_no_colours_even_where_they_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in shown(monkeypatch, io.StringIO())


def test_live_lines_are_what_a_terminal_gets(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(Display()._live, LiveLines)
    assert Display(quiet=True)._live is None


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"CLICOLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_a_result_is_emphasised_where_people_expect_it(monkeypatch, environment, terminal, expected):
    for name in ("NO_COLOR", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    assert has_colours(Terminal() if terminal else io.StringIO()) is expected
