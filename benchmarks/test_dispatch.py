"""What the scheduler itself costs: time a piece of work, memory of a long queue, and slots that stand idle."""

from __future__ import annotations

import random
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from sslbench import Ended
from sslbench.contracts.executor import Executor
from sslbench.execute import scheduler
from sslbench.execute.events import CellStarted, RecordMade, StageStarted
from sslbench.execute.request import Request
from sslbench.execute.session import Session
from sslbench.hooks.registry import default_registry
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

MOST_MS, MOST_MIB, LEAST_BUSY = 5.0, 100.0, 0.97


class Idle:
    """Work that takes no time at all, or a random one in threads."""

    def __init__(self, slots: int = 1, seconds=None) -> None:
        self.slots, self._seconds = slots, seconds
        self._pool = ThreadPoolExecutor(slots) if seconds else None
        self.spans: list[tuple[float, float]] = []

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def submit(self, work, emit):
        if self._pool:
            self._pool.submit(self._work, work, emit)
        else:
            self._work(work, emit)
        return self

    def _work(self, work, emit) -> None:
        begin = time.perf_counter()
        emit(StageStarted("training"))
        time.sleep(self._seconds() if self._seconds else 0.0)
        self.spans.append((begin, time.perf_counter()))
        for evaluation in work.evaluations:
            emit(CellStarted(evaluation.cell))
            emit(RecordMade(Record(evaluation.cell, "done", method="raw-pixels", seed=work.seed)))
        emit(Ended(work.key))

    def cancel(self) -> None: ...

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()


def session(out, works: int):
    """A run of so many pretrainings, planned."""
    axes = {"method": ["raw-pixels"], "dataset": ["digits"], "evaluator": ["knn"], "backbone": ["convnet-small"]}
    suite = RawSuite("many", "many", {"axes": axes, "seeds": [0]})
    request = Request(suite, Overrides({}, tuple(range(works)), {"train_images": 100}), out, executor="inline")
    outcome, cells, *_ = scheduler.prepare(request, default_registry())
    return Session(request, outcome, lambda event: None), cells


def run(out, works: int, executor: Executor) -> float:
    """Seconds of a run without what planning takes."""
    one, cells = session(out, works)
    begin = time.perf_counter()
    one.run(cells, executor)
    seconds = time.perf_counter() - begin
    with ResultsStore.open_for_reading(out) as store:
        assert len(store.records()) == works
    return seconds


def test_a_piece_of_work_costs_little(tmp_path, capsys):
    run(tmp_path / "warm", 10, Idle())
    each = [1000 * run(tmp_path / str(round_), 300, Idle()) / 300 for round_ in range(3)]
    with capsys.disabled():
        print(f"\nscheduler: {median(each):.2f} ms a piece of work ({min(each):.2f} to {max(each):.2f})")
    assert median(each) < MOST_MS


def test_ten_thousand_pieces_of_work_wait_without_growth(tmp_path, capsys):
    one, cells = session(tmp_path, 10_000)
    tracemalloc.start()
    one.run(cells, Idle())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\n10,000 pieces of work: {peak / 2**20:.1f} MiB more at most")
    assert peak < MOST_MIB * 2**20


def test_slots_are_busy(tmp_path, capsys):
    lengths = random.Random(0)
    executor = Idle(8, lambda: lengths.uniform(0.5, 1.5))
    run(tmp_path, 64, executor)
    begin, last = min(executor.spans)[0], max(executor.spans)[0]  # from then on no work waits
    busy = sum(min(end, last) - start for start, end in executor.spans) / (8 * (last - begin))
    with capsys.disabled():
        print(f"\n8 slots, 64 works of random length: {100 * busy:.1f}% busy while work waits")
    assert busy > LEAST_BUSY
