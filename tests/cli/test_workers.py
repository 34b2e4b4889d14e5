"""Runs whose evaluators end, hang or shout down the process that they are in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import sslbench_plugins.executors.workers as plugin
from sslbench.cli import main
from sslbench.execute.events import StageStarted
from sslbench.hooks.registry import default_registry
from sslbench.progress.display import Display

EVALUATORS = '''
"""Evaluators that misbehave."""

import ctypes, os, signal, subprocess, sys

from sslbench import EvaluatorSpec, Metric, hookimpl


def talks():
    print("to stdout")
    print("to stdout")
    os.write(1, b"to descriptor 1\\n")
    print("to stderr", file=sys.stderr)
    print(f"reads {sys.stdin.read()!r}")


def starts():
    child = subprocess.Popen(["sleep", "1000"])
    print("pids", os.getpid(), child.pid)
    signal.pause()


DO = {
    "exits": lambda: os._exit(0),
    "segfaults": lambda: ctypes.string_at(0),
    "hangs": lambda: ctypes.PyDLL(None).pause(),  # and lets no other thread of its process run
    "leaves": lambda: sys.exit(0),
    "talks": talks,
    "starts": starts,
}


class Does:
    def __init__(self, name):
        self.name = name

    def evaluate(self, data):
        DO[self.name]()
        return [Metric("good", 1.0)]


@hookimpl
def sslbench_evaluators():
    return [EvaluatorSpec(name=name, build=lambda p, c, name=name: Does(name), headline="good") for name in DO]
'''


RAW = ("run", "-m", "raw-pixels", "-d", "shapes:train_images=64,test_images=16,image_size=16")


@pytest.fixture
def hostile(distribution, tmp_path, monkeypatch):
    """The folder of a distribution of hostile evaluators, which this process finds; runs go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    default_registry.cache_clear()
    yield distribution("hostile-evaluators", {"hostile": "hostile_evaluators"}, {"hostile_evaluators": EVALUATORS})
    default_registry.cache_clear()


@pytest.fixture
def in_no_time(monkeypatch):
    """Let the time limit of each stage pass at once where ``hangs`` begins."""
    skipped, pools = [0.0], []

    class Workers(plugin.Workers):
        def __init__(self, *arguments):
            super().__init__(*arguments, clock=lambda: time.monotonic() + skipped[0])
            pools.append(self)

    show = Display.show

    def skip(display, event):
        show(display, event)
        if event == StageStarted("evaluating hangs", work=event.work):
            skipped[0] += 5000
            pools[0].call(lambda: None)

    monkeypatch.setattr(plugin, "Workers", Workers)
    monkeypatch.setattr(Display, "show", skip)


@pytest.mark.usefixtures("hostile", "in_no_time")
def test_what_an_evaluator_does_to_its_process_costs_its_own_cell_and_no_other(capsys):
    names = ["exits", "knn", "segfaults", "leaves", "talks", "hangs", "linear-probe"]
    arguments = [*RAW, *(word for name in names for word in ("-e", name))]
    assert main.call([*arguments, "--executor", "workers", "--set", "time_limit=5000", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    records = {record["evaluator"]: record for record in json.loads(out)["records"]}
    assert {name: (record["status"], record["reason"]) for name, record in records.items()} == {
        "knn": ("done", None),
        "talks": ("done", None),
        "linear-probe": ("done", None),
        "exits": ("failed", "lost: the worker process ended with exit code 0"),
        "segfaults": ("failed", "lost: the worker process was killed (SIGSEGV)"),
        "leaves": ("failed", "SystemExit: 0"),
        "hangs": ("timeout", "evaluating 'hangs' took longer than 5000 s (time_limit)"),
    }
    assert "in <lambda>" in records["segfaults"]["traceback"]
    lines = err.splitlines()
    for line in ("to descriptor 1", "to stderr", "reads ''"):
        assert lines.count(line) == 1
    assert lines.count("to stdout") == 2
    assert lines.count("sslbench: 1 of 1: raw-pixels shapes seed 0") == 1
    assert err.count("sslbench: 1 of 1: ended after") == 1


SCRIPT = """
import signal
from sslbench.cli import interrupts, main

for number in interrupts.ENDING:  # whoever runs the tests may ignore them
    signal.signal(number, signal.SIG_DFL)
main.main()
"""
"""as users write theirs: it does its work wherever it is imported"""


@pytest.mark.parametrize(
    ("started", "number", "code"),
    [("-c", signal.SIGINT, 130), ("file", signal.SIGTERM, 143), ("-m", signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_run_that_is_ended_leaves_no_process_however_it_was_started(hostile, gone, tmp_path, started, number, code):
    path = os.environ.get("PYTHONPATH", "")
    if started == "file":  # which has the plugins beside it, and where it is started are other things
        (hostile / "run.py").write_text(SCRIPT)
        (tmp_path / "torch.py").write_text("raise ImportError('from the working directory')")
    else:
        path = os.pathsep.join([str(hostile), path])
    process = subprocess.Popen(
        [
            *(sys.executable, *{"-c": ["-c", SCRIPT], "file": [hostile / "run.py"], "-m": ["-m", "sslbench"]}[started]),
            *(*RAW, "-e", "knn", "-e", "starts", "--executor", "workers"),
        ],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stderr if line.startswith("pids "))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    for pid in line.split()[1:]:
        gone(int(pid))
