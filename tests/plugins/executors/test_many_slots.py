"""The scheduler and the pool together: many slots, many pretrainings."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from sslbench import RecordMade, to_line
from sslbench.contracts.executor import Evaluation, PluginChoice
from sslbench.execute.dispatch import Dispatch, Job
from sslbench.execute.events import CellStarted, PretrainingEnded, PretrainingStarted
from sslbench.store.record import Record

WORKS, SLOTS = 64, 8


def cells(number):
    return [f"k{number}-{cell}" for cell in range(3)]


def does(number, lost):
    """What a worker does for a pretraining; one that is lost ends in the middle of the second cell."""
    yield "asked = [evaluation['cell'] for evaluation in work['evaluations']]"
    for place, cell in enumerate(cells(number)):
        record = RecordMade(Record(cell, "done", method="m", seed=0))
        lines = [f"print({to_line(event)!r}, flush=True)" for event in (CellStarted(cell), record)]
        if lost and place == 1:
            lines.insert(1, "os.kill(os.getpid(), signal.SIGKILL)")
        yield f"if {cell!r} in asked: {'; '.join(lines)}"


def job(small_work, number, lost):
    evaluations = tuple(Evaluation(cell, PluginChoice("knn")) for cell in cells(number))
    work = replace(small_work("", key=f"k{number}"), out="\n".join(does(number, lost)), evaluations=evaluations)
    return Job(work, PretrainingStarted(f"m {number}", number, WORKS, 3 * WORKS))


def test_eight_workers_lose_no_record_and_no_slot_stands_idle(pool, small_work):
    lost = set(random.Random(0).sample(range(WORKS), 16))
    jobs = [job(small_work, number, number in lost) for number in range(WORKS)]
    events = []

    def lost_record(cell, status, reason, traceback):
        return Record(cell, status, reason=reason, method="m", seed=0)

    Dispatch(pool(SLOTS), 0, events.append, lost_record).run(iter(jobs))
    made = [event.record for event in events if isinstance(event, RecordMade)]
    assert sorted(record.cell for record in made) == sorted(cell for number in range(WORKS) for cell in cells(number))
    failed = {record.cell: record.reason for record in made if record.status == "failed"}
    assert failed == {f"k{number}-1": "lost: the worker process was killed (SIGKILL)" for number in lost}
    after = [following for event, following in pairwise(events) if isinstance(event, PretrainingEnded)]
    assert all(isinstance(event, PretrainingStarted) for event in after[: WORKS - SLOTS])
