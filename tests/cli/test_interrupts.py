"""Ctrl-C, SIGTERM and SIGHUP, at any moment and however often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from sslbench.cli import interrupts, main
from sslbench.cli.interrupts import Interrupts
from sslbench.execute.events import RecordMade
from sslbench.progress.display import Display

CHILD = """
import signal, sys
from sslbench.cli import interrupts, main

for number in interrupts.ENDING:  # whoever runs the tests may ignore them
    signal.signal(number, signal.SIG_DFL)

def command(arguments):
    while "stubborn" in sys.argv:  # as a plugin that catches everything
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("again", flush=True)
    print("ready", flush=True)
    while True:
        pass

main.result_of = command
main.main()
"""


@pytest.fixture
def handlers():
    """The handlers of this process as they were, after the test."""
    before = {number: signal.getsignal(number) for number in interrupts.ENDING}
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "interrupted by SIGTERM"),
        (signal.SIGHUP, 129, "interrupted by SIGHUP"),
    ],
)
def test_a_signal_ends_a_command_in_one_line_with_its_code(number, code, words):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", CHILD], **pipes)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", f"sslbench: error: {words}\n")
    assert process.returncode == code


def test_the_third_ends_at_once_without_a_traceback():
    done = subprocess.run([sys.executable, "-c", CHILD, "stubborn"], capture_output=True, text=True, timeout=60)
    assert done.stdout == "again\nagain\n"
    assert done.stderr == "sslbench: interrupted again: ended at once; what was stored before is kept\n"
    assert done.returncode == 130


@pytest.mark.usefixtures("handlers")
def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert interrupts.received() is None


@pytest.mark.usefixtures("handlers")
def test_after_an_interrupt_nothing_breaks_the_exit():
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("handlers")
def test_without_an_interrupt_the_handlers_are_as_before():
    with Interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def interrupted_import(arguments):
    """What an import makes of Ctrl-C may be any error."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization of _C raised unreported exception") from None


@pytest.mark.usefixtures("handlers")
def test_an_interrupted_import_is_one_line_whatever_error_it_ends_in(monkeypatch, capsys):
    monkeypatch.setattr(main, "call", interrupted_import)
    with pytest.raises(SystemExit, match="130"):
        main.main()
    assert capsys.readouterr().err == "sslbench: error: interrupted\n"


@pytest.mark.usefixtures("handlers")
def test_an_error_without_an_interrupt_is_a_traceback(monkeypatch):
    def broken(arguments):
        raise ImportError("a bug")

    monkeypatch.setattr(main, "call", broken)
    with pytest.raises(ImportError, match="a bug"):
        main.main()


@pytest.mark.usefixtures("handlers")
def test_sigterm_keeps_what_is_finished_and_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    show = Display.show

    def stop_after_a_record(display, event):
        show(display, event)
        if isinstance(event, RecordMade):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Display, "show", stop_after_a_record)
    arguments = ["run", "-m", "raw-pixels", "-e", "knn", "-e", "linear-probe"]
    with Interrupts():
        assert main.call([*arguments, "--format", "json"]) == 130
    out, err = capsys.readouterr()
    assert [record["status"] for record in json.loads(out)["records"]] == ["done"]
    assert "1 done; 1 run now; results: sslbench-results/quick" in err
    assert err.splitlines()[-1] == "sslbench: interrupted by SIGTERM; the same command goes on from here"
    monkeypatch.setattr(Display, "show", show)
    assert main.call(arguments) == 0
    assert "2 done; 1 run now" in capsys.readouterr().err


@pytest.mark.usefixtures("handlers")
def test_a_forked_child_ends_quietly():
    with Interrupts() as opened:
        opened._process = os.getpid() + 1  # as a child sees it
        ended = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "_exit", ended.append)
            patch.setattr(interrupts, "PATIENCE", 99)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    assert ended == [143]


def test_a_plugin_that_ends_the_program_is_no_success(capsys, monkeypatch):
    monkeypatch.setattr(main, "result_of", lambda arguments: sys.exit(0))
    assert main.call(["plan"]) == 1
    words = "a plugin or a library ended the program: SystemExit(0); the command was not done"
    assert capsys.readouterr().err == f"sslbench: error: {words}\n"
