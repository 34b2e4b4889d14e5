from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

import pytest

from sslbench.train.feed import ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_items(count):
    def slow_at_first(item):
        time.sleep(0.02 / (item + 1))
        return item * 10

    assert list(ahead(slow_at_first, range(9), count)) == [0, 10, 20, 30, 40, 50, 60, 70, 80]
    assert list(ahead(slow_at_first, [], count)) == []
    assert threads() == []


def test_only_so_many_are_started():
    started = []
    results = ahead(started.append, iter(range(100)), threads=2, waiting=1)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 4
    results.close()
    assert len(started) <= 4
    assert threads() == []


def test_the_next_is_made_while_the_caller_works():
    made = threading.Event()
    results = ahead(lambda item: made.set() if item == 1 else None, [0, 1], threads=1)
    next(results)
    assert made.wait(5)
    results.close()


def test_an_error_comes_in_its_turn_and_leaves_no_thread():
    results = ahead(lambda item: 1 / (3 - item), range(9), threads=2)
    assert next(results) == 1 / 3
    assert next(results) == 1 / 2
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threads() == []


def test_an_interrupt_ends_the_process_at_once():
    code = """
        import os, signal, sys, time
        from sslbench.train.feed import ahead
        def work(item):
            if item == 3:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        for _ in ahead(work, range(10_000), threads=2):
            pass
    """
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert time.monotonic() - began < 30
