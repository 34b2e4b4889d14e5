from __future__ import annotations

import pytest
import torch

from sslbench.measure import energy
from sslbench.measure.energy import Counter, Unreadable
from sslbench.train import usage as module
from sslbench.train.usage import Usage

CPU = torch.device("cpu")


@pytest.fixture
def counter(monkeypatch):
    """A counter in microjoules that a test moves on."""
    moves = {"at": 10**9}
    monkeypatch.setattr(energy, "counters_of", lambda device: [Counter(lambda: moves["at"])])
    return moves


def test_evaluations_and_what_came_before_the_training_use_none_of_its_energy(counter):
    usage = Usage(CPU)
    counter["at"] += 5_000_000
    usage.start()
    counter["at"] += 2_000_000
    with usage.paused():
        counter["at"] += 30_000_000
    counter["at"] += 1_000_000
    assert (usage.joules(), usage.why_no_energy) == (3.0, None)


def test_a_training_that_goes_on_adds_to_what_it_took(counter):
    usage = Usage(CPU, 10.0, None, 7.0)
    counter["at"] += 2_000_000
    assert usage.joules() == 9.0


def test_a_part_that_is_not_known_makes_all_of_it_unknown(counter):
    usage = Usage(CPU, 10.0, None, None)
    assert (usage.joules(), usage.why_no_energy) == (None, "not known of the part before an interruption")


def test_several_devices_have_no_counter_together(counter, monkeypatch):
    monkeypatch.setattr(module, "ranks", lambda: 2)
    usage = Usage(CPU)
    assert (usage.joules(), usage.why_no_energy) == (None, "not counted for a pretraining on several devices")


def test_what_cannot_be_read_is_said(monkeypatch):
    def unreadable(device):
        raise Unreadable("this machine shows no counter")

    monkeypatch.setattr(energy, "counters_of", unreadable)
    usage = Usage(CPU)
    assert (usage.joules(), usage.why_no_energy) == (None, "this machine shows no counter")
