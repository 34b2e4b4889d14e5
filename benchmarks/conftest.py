"""One thread for every benchmark, a clock that waits for the GPU, and the ratios of one run at its end."""

from __future__ import annotations

import time
from statistics import median
from time import process_time

import pytest
import torch

from sslbench.measure.clocks import UndisturbedClock, open_queue, stamp
from sslbench.measure.machine import torch_facts
from sslbench.report.text import Column, terminal

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
QUEUE = open_queue() if UndisturbedClock.works() else None
REPEATS = 21
REFERENCE_SECONDS = 0.01
"""what the reference work counts as where times are relative to it"""
SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 0.5, 3, 20
"""of one benchmark, after a round that is not counted: as many rounds as fit, within these numbers"""
LONG = ("dispatch", "gate", "harness", "method_steps", "ranks", "scale", "steps", "large", "retrieval", "scikit")
"""what ``--quick`` leaves out: files and benchmarks by parts of their names"""
LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    parser.addoption(
        "--relative",
        action="store_true",
        help="Times in units of a reference that is measured beside each benchmark, so that two runs can be compared.",
    )
    parser.addoption("--gate-tries", type=int, default=1, help="Tries of the gate with a slowdown, and without one.")
    parser.addoption("--quick", action="store_true", help="A first look: one round each, the long ones left out.")
    parser.addoption("--ratios", action="store_true", help="The ratios of the run alone, without the table of times.")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.stash[LINES] = []
    if str(config.option.benchmark_max_time) == "1.0":  # pytest-benchmark's own
        config.option.benchmark_max_time = str(SECONDS)
    if config.option.quick:
        config.option.benchmark_max_time, config.option.benchmark_min_rounds = "0.01", 1


def seconds():
    """Clock of work that is done: on a GPU after waiting for it, on a CPU without what other programs took."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    if QUEUE is None:
        return time.perf_counter()
    now, waited = stamp(QUEUE)
    return (now - waited) / 1e9


def relative_timer():
    """The same in a unit in which the reference takes 10 ms, as ``measure_unit`` finds just before the benchmark."""
    unit = 1.0

    def relative_seconds():
        return seconds() / unit

    def measure_unit():
        nonlocal unit
        taken = []
        for _ in range(REPEATS):
            began = seconds()
            reference()
            taken.append(seconds() - began)
        unit = sorted(taken)[REPEATS // 2] / REFERENCE_SECONDS

    relative_seconds.measure_unit = measure_unit
    return relative_seconds


def reference():
    """A little of everything: matrix products, passes over memory, and Python."""
    matrix = torch.full((256, 256), 0.01, device=DEVICE)
    vector = torch.full((1 << 20,), 0.5, device=DEVICE)
    for _ in range(4):
        matrix = (matrix @ matrix).tanh_()
        vector.mul_(0.5).add_(1.0)
    return sum(number % 7 for number in range(40_000))


def pytest_collection_modifyitems(config, items):
    if config.option.ratios:
        config._benchmarksession.quiet = True
    if config.option.quick:
        left_out = [item for item in items if any(part in item.nodeid.rpartition("benchmarks/")[2] for part in LONG)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        marker = item.get_closest_marker("benchmark")
        options = marker.kwargs if marker else {}
        timer = relative_timer() if config.getoption("relative") else seconds
        item.add_marker(pytest.mark.benchmark(**{"timer": timer, **options}), append=False)


@pytest.fixture(autouse=True)
def one_thread(request):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    timer = request.node.get_closest_marker("benchmark").kwargs["timer"]
    getattr(timer, "measure_unit", lambda: None)()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def report_line(request):
    """Call it with a line that is printed at the end of the run."""
    return request.config.stash[LINES].append


@pytest.fixture(scope="session")
def device():
    """The GPU where there is one."""
    return DEVICE


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["torch"] = torch_facts(str(DEVICE))
    machine_info["gpu"] = machine_info["torch"]["gpu"]
    machine_info["relative"] = config.getoption("relative")


@pytest.fixture
def rounds(request, benchmark):
    """Time a call for as many rounds as fit into ``SECONDS``, after one that is not counted; returns its result."""

    def measure(call, *args):
        began = seconds()
        call(*args)
        fitting = int(SECONDS / max(seconds() - began, 1e-6))
        number = 1 if request.config.option.quick else min(MOST_ROUNDS, max(LEAST_ROUNDS, fitting))
        return benchmark.pedantic(call, args=args, rounds=number)

    return measure


@pytest.fixture
def beside(request, benchmark):
    """Time ours and a peer's work in turn, so that what else runs on the machine meets both; CPU time of one thread.

    ``work`` is how many units of work one call of ours and one of the peer's is.
    """

    def measure(group, ours, peer, theirs, rounds=7, work=(1, 1)):
        times = []

        def their_turn():
            began = process_time()
            theirs()
            times.append(process_time() - began)

        benchmark.group = group
        benchmark._timer = process_time
        rounds = 1 if request.config.option.quick else rounds
        benchmark.pedantic(ours, setup=their_turn, rounds=rounds, warmup_rounds=1)
        # The first was the warm-up's.
        benchmark.extra_info["beside"] = (peer, median(times[1:]) / work[1] * work[0])

    return measure


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    """In each group that holds a peer, how many times as fast as it the others are, by medians."""
    session = getattr(config, "_benchmarksession", None)
    groups = {}
    for bench in getattr(session, "benchmarks", []):
        if bench.stats.data:
            groups.setdefault(bench.group, []).append(bench)
    rows = [row for group, benches in groups.items() for row in beside_peers(group, benches)]
    if rows:
        terminalreporter.section("ratios within this run")
        names = ("group", "benchmark", "peer", "times as fast", "of its memory")
        columns = [Column(name, [row[at] for row in rows], number=at > 2) for at, name in enumerate(names)]
        terminalreporter.write_line(terminal(columns, gap=2, broken_headers=False))
    for line in config.stash[LINES]:
        terminalreporter.write_line(line)
    if config.option.quick:
        terminalreporter.write_line(f"quick: one round each, without {', '.join(LONG)}; decides nothing")


def beside_peers(group, benches):
    """A row for each benchmark and each peer of its group, or that it was timed in turn with."""
    for bench in benches:
        if "beside" in bench.extra_info:
            peer, theirs = bench.extra_info["beside"]
            yield group, bench.name.removeprefix("test_"), f"{peer}, in turn", f"{theirs / bench.stats.median:.2f}", ""
    for peer in (bench for bench in benches if "peer" in bench.extra_info):
        for bench in benches:
            if peer.extra_info["peer"] in named(bench.extra_info.get("against")):
                # Units of work per call differ where one call makes a whole batch.
                share = bench.extra_info.get("views", 1) / peer.extra_info.get("views", 1)
                ratio = peer.stats.median / bench.stats.median * share
                memory = [b.extra_info.get("peak_bytes") for b in (bench, peer)]
                share_of_memory = f"{memory[0] / memory[1]:.3f}" if all(memory) else ""
                yield group, bench.name.removeprefix("test_"), peer.extra_info["peer"], f"{ratio:.2f}", share_of_memory


def named(against):
    """A benchmark may be compared with several peers."""
    return [against] if isinstance(against, str) else against or []
