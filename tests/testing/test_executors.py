"""What conformance says of executors that lose work, drop events or return nothing."""

from __future__ import annotations

import pytest

from sslbench import Ended, ExecutorSpec, Failure, run_work
from sslbench.execute.events import RecordMade
from sslbench.testing.conformance import executors
from sslbench.testing.conformance.executors import of_executor


class Handle:
    def cancel(self):
        pass


class Good:
    slots = 1

    def devices(self):
        return ("cpu",)

    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended(work.key))
        return Handle()

    def close(self):
        pass


class NeverRuns(Good):
    def submit(self, work, emit):
        return Handle()


class DropsRecords(Good):
    def submit(self, work, emit):
        emit(Ended(work.key))
        return Handle()


class DropsTheEnd(Good):
    def submit(self, work, emit):
        run_work(work, emit)
        return Handle()


class RunsTwice(Good):
    def submit(self, work, emit):
        super().submit(work, emit)
        return super().submit(work, emit)


class RecordsAfterTheEnd(Good):
    def submit(self, work, emit):
        late = []
        run_work(work, lambda event: late.append(event) if isinstance(event, RecordMade) else emit(event))
        emit(Ended(work.key))
        for event in late:
            emit(event)
        return Handle()


class NoHandle(Good):
    def submit(self, work, emit):
        super().submit(work, emit)


class OtherKey(Good):
    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended("another"))
        return Handle()


class FailsAll(Good):
    def submit(self, work, emit):
        run_work(work, emit)
        emit(Ended(work.key, Failure("lost: always")))
        return Handle()


class NoSlot(Good):
    slots = 0


class NoDevice(Good):
    def devices(self):
        return ()


class NoClose:
    slots, devices, submit = 1, Good.devices, Good.submit


def lines_of(executor):
    spec = ExecutorSpec(name="x", summary="x", build=lambda params, context: executor())
    return list(of_executor(spec, spec.params(), patience=0.0))


def test_an_executor_that_keeps_the_contract_has_no_problem():
    assert lines_of(Good) == []


@pytest.mark.parametrize(
    ("executor", "words"),
    [
        (NeverRuns, "no Ended came within 0 s of submit"),
        (DropsTheEnd, "no Ended came within 0 s of submit"),
        (DropsRecords, "records came for {}, not once for each of ['work-0-a', 'work-0-b']"),
        (RunsTwice, "Ended must come once for each submit, with the key of its work; it came for ['work-0', 'work-0']"),
        (RecordsAfterTheEnd, "Ended must be the last event"),
        (NoHandle, "submit must return a handle with cancel(), not NoneType"),
        (OtherKey, "Ended must come once for each submit, with the key of its work; it came for ['another']"),
        (FailsAll, "work whose plugins are not found ended with a failure: lost: always"),
        (NoSlot, "it offers no slot or no device"),
        (NoDevice, "it offers no slot or no device"),
        (NoClose, "build must return an object with slots, devices, submit and close"),
    ],
)
def test_an_executor_that_breaks_the_contract_is_named(executor, words):
    assert words in lines_of(executor)


def test_the_patience_is_long_enough_for_workers_to_start():
    assert executors.PATIENCE >= 60
