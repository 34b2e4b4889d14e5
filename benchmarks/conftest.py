"""One thread for every benchmark, and the ratios of one run at its end."""

from __future__ import annotations

from statistics import median
from time import process_time

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def beside(benchmark):
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
        benchmark.pedantic(ours, setup=their_turn, rounds=rounds, warmup_rounds=1)
        # The first was the warm-up's.
        benchmark.extra_info["beside"] = (peer, median(times[1:]) / work[1] * work[0])

    return measure


def pytest_terminal_summary(terminalreporter, config):
    """In each group that holds a peer, how many times as fast as it the others are, by medians."""
    session = getattr(config, "_benchmarksession", None)
    groups = {}
    for bench in getattr(session, "benchmarks", []):
        if bench.stats.data:
            groups.setdefault(bench.group, []).append(bench)
    lines = []
    for group, benches in groups.items():
        for bench in benches:
            if "beside" in bench.extra_info:
                peer, theirs = bench.extra_info["beside"]
                ratio = theirs / bench.stats.median
                lines.append(f"{group}: {bench.name} is {ratio:.2f} times as fast as {peer}, in turn with it")
        for peer in (bench for bench in benches if "peer" in bench.extra_info):
            for bench in benches:
                if bench is not peer and bench.extra_info.get("against") == peer.extra_info["peer"]:
                    # Units of work per call differ where one call makes a whole batch.
                    share = bench.extra_info.get("views", 1) / peer.extra_info.get("views", 1)
                    ratio = peer.stats.median / bench.stats.median * share
                    lines.append(f"{group}: {bench.name} is {ratio:.2f} times as fast as {peer.extra_info['peer']}")
                    memory = [b.extra_info.get("peak_bytes") for b in (peer, bench)]
                    if all(memory):
                        lines.append(f"{group}: {bench.name} takes {memory[1] / memory[0]:.3f} of its peak memory")
    if lines:
        terminalreporter.section("ratios within this run")
        for line in lines:
            terminalreporter.write_line(line)
