"""The choice among ways to the same result, with made-up times: kept, damaged, beside other programs, not writable."""

from __future__ import annotations

import json

import pytest

from sslbench.measure import quickest as module
from sslbench.measure.quickest import choice_path, quickest, read
from sslbench.store.digests import write_json

WAYS = ("plain", "fast", "slow")


class Machine:
    """On which each way takes so many seconds."""

    def __init__(self, **seconds):
        self.seconds, self.busy, self.calls = seconds, False, []

    def prepare(self, way):
        if way not in self.seconds:
            raise RuntimeError("no such kernel")
        return lambda: self.calls.append(way)

    def timed(self, call):
        call()
        return self.seconds[self.calls[-1]], self.busy

    def chosen(self, task="a task", ways=WAYS):
        """As another process would."""
        module._chosen.clear()
        return quickest(task, ways, self.prepare)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "_chosen", {})
    made = Machine(plain=1.0, fast=0.5, slow=2.0)
    monkeypatch.setattr(module, "timed", made.timed)
    return made


def test_it_is_measured_once_and_kept(machine, tmp_path):
    assert machine.chosen() == "fast"
    # One call each that is not timed, one that leaves out what takes half as long again as the quickest, then the rest.
    assert machine.calls == ["plain", "fast", "slow", "plain", "fast", "slow", "fast", "fast", "fast"]
    assert machine.chosen() == "fast"
    assert quickest("a task", WAYS, machine.prepare) == "fast"
    assert len(machine.calls) == 9
    (kept,) = tmp_path.glob("sslbench/quickest-*.json")
    assert json.loads(kept.read_text())["seconds"] == machine.seconds
    assert machine.chosen("another task") == "fast"
    assert len(machine.calls) == 18


def test_another_number_of_threads_is_another_machine(machine, monkeypatch):
    machine.chosen()
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 64)
    assert read(choice_path("a task", WAYS), WAYS) is None


@pytest.mark.parametrize(("seconds", "expected"), [(0.98, "plain"), (0.96, "fast")])
def test_a_way_must_be_clearly_quicker_than_the_first(machine, seconds, expected):
    machine.seconds["fast"] = seconds
    assert machine.chosen() == expected


def test_the_least_of_the_calls_counts(machine, monkeypatch):
    taken = iter([1.0, 1.4, 1.0, 0.4, 1.0, 1.4, 1.0, 1.4])
    monkeypatch.setattr(module, "timed", lambda call: (next(taken), False))
    assert machine.chosen(ways=("plain", "fast")) == "fast"


def test_a_way_that_fails_is_left_out(machine):
    del machine.seconds["fast"]
    assert machine.chosen() == "plain"
    assert "fast" not in read(choice_path("a task", WAYS), WAYS).seconds


def test_nothing_is_measured_where_there_is_nothing_to_choose(machine):
    assert machine.chosen(ways=("plain",)) == "plain"
    assert machine.calls == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"way": "fast"}'])
def test_a_damaged_file_is_measured_again(machine, damage):
    machine.chosen()
    choice_path("a task", WAYS).write_text(damage)
    machine.seconds.update(plain=0.1)
    assert machine.chosen() == "plain"
    assert read(choice_path("a task", WAYS), WAYS).way == "plain"


@pytest.mark.parametrize("wrong", [{"way": "teleport"}, {"contended": "no"}])
def test_a_choice_that_cannot_be_is_a_damaged_file(machine, wrong):
    machine.chosen()
    path = choice_path("a task", WAYS)
    write_json(path, json.loads(path.read_text()) | wrong)
    assert read(path, WAYS) is None


def test_what_was_measured_beside_other_programs_holds_until_a_measurement_is_undisturbed(machine):
    machine.busy = True
    assert machine.chosen() == "fast"
    machine.seconds.update(plain=0.1)
    assert machine.chosen() == "fast"
    machine.busy = False
    assert machine.chosen() == "plain"
    machine.seconds.update(fast=0.01)
    assert machine.chosen() == "plain"


def test_where_the_cache_cannot_be_written_the_first_way_is_taken(machine, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert machine.chosen() == "plain"


def test_a_call_is_timed():
    seconds, busy = module.timed(lambda: sum(range(100_000)))
    assert 0 < seconds < 1
    assert busy in (True, False)
