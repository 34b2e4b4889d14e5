"""How long a person waits before anything happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sslbench.hooks.catalogue import KINDS
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.plan import make_plan
from sslbench.plan.suite import Overrides, RawSuite


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("show", "method", "simclr")], ids=" ".join)
def test_a_command(rounds, arguments):
    command = [sys.executable, "-m", "sslbench", *arguments]
    rounds(lambda: subprocess.run(command, check=True, capture_output=True))


def test_the_registry(benchmark):
    """What every command does first: read the entry points of all distributions and look at each catalogue."""

    def start():
        catalogue = Registry().catalogue
        return [catalogue.names(kind) for kind in KINDS]

    assert all(benchmark(start))


def test_results(rounds, tmp_path):
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_writing(tmp_path):
        pass
    command = [sys.executable, "-m", "sslbench", "results", str(tmp_path)]
    rounds(lambda: subprocess.run(command, check=True, capture_output=True))


def test_planning_ten_thousand_cells(rounds):
    axes = {
        "method": ["simclr"],
        "augmentation": ["auto"],
        "dataset": ["digits"],
        "backbone": ["convnet-small", "resnet18-cifar"],
        "evaluator": ["knn", "linear-probe"],
    }
    raw = RawSuite("large", "large", {"axes": axes, "seeds": list(range(2500))})
    registry = Registry()

    def plan():
        return make_plan("large", expand(resolve_suite(raw, Overrides(), registry)), None).groups

    assert len(rounds(plan)) == 5000
