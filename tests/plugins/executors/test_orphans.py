"""However the process that started a worker ends, nothing of the worker stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end a process with its parent")

WORKER = """
import os, subprocess, sys
from sslbench_plugins.executors.workers.orphans import end_with
end_with(int(sys.argv[1]))
child = subprocess.Popen(["sleep", "1000"])
print(os.getpid(), child.pid, flush=True)
{then}
"""
PARENT = """
import os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], start_new_session=True)
os.close(1)
sys.stdin.read()
"""
STUCK = "import ctypes; ctypes.PyDLL(None).pause()"  # as compiled code that never lets another thread run


def started(then):
    """A parent, and the processes of its worker: itself and its child."""
    arguments = [sys.executable, "-c", PARENT, WORKER.format(then=then)]
    parent = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def ended(parent):
    with parent:
        parent.kill()


def test_a_killed_parent_takes_its_worker_and_what_that_started_with_it(gone):
    parent, pids = started(STUCK)
    os.kill(parent.pid, signal.SIGKILL)
    for pid in pids:
        gone(pid)
    ended(parent)


def test_a_worker_that_ends_takes_what_it_started_with_it(gone):
    parent, pids = started("os._exit(0)")
    for pid in pids:
        gone(pid)
    ended(parent)


def test_who_waits_for_all_children_waits_for_none_that_nobody_started(gone):
    parent, pids = started("child.kill(); os.waitpid(-1, 0)\ntry: os.waitpid(-1, 0)\nexcept ChildProcessError: pass")
    for pid in pids:
        gone(pid)
    ended(parent)


def test_a_worker_whose_parent_has_ended_before_it_looks_ends(gone):
    done = subprocess.run([sys.executable, "-c", WORKER.format(then=""), "1"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
