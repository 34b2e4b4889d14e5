"""What holds for every simulator, by being registered."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sslbench.execute.simulate import simulate
from sslbench.hooks.registry import Registry
from sslbench.report.simulations import render_json
from sslbench.testing.conformance import problems

NAMES = Registry().catalogue.names("simulator")
SEVEN = {
    "augmentation-analyzer",
    "augmentation-validator",
    "imbalance-comparator",
    "label-bottleneck",
    "masking-comparator",
    "momentum-dynamics",
    "scientific-image-analyzer",
}
WITH_TENSORS = {"masking-comparator"}


def one(name, seed=42, **given):
    (found,) = simulate([name], seed=seed, given={"claim_seeds": 1, **given})
    return found


def test_the_seven_are_there():
    assert set(NAMES) >= SEVEN


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_its_contract(name):
    assert problems(Registry().get("simulator", name), claim_seeds=1) == []


@pytest.mark.parametrize("name", sorted(SEVEN - {"label-bottleneck", "masking-comparator"}))
def test_seeds_differ(name):
    assert one(name).result.tables != one(name, seed=43).result.tables


@pytest.mark.parametrize("name", NAMES)
def test_claims_rest_on_the_seed_and_those_after_it(name):
    found = one(name, seed=7, claim_seeds=2)
    assert found.result.claims
    assert {claim.seeds for claim in found.result.claims} == {(7, 8)}
    assert len({claim.statement for claim in found.result.claims}) == len(found.result.claims)


@pytest.mark.parametrize("name", NAMES)
def test_it_rests_on_twenty_seeds_by_default(name):
    assert Registry().get("simulator", name).params().claim_seeds == 20


@pytest.mark.parametrize("name", NAMES)
def test_it_is_json_and_speaks_to_a_practitioner(name):
    found = one(name)
    document = json.loads(render_json([found], single=True))
    assert list(document) == ["schema", "simulator", "seed", "parameters", "tables", "claims"]
    assert all(document["tables"].values())
    assert found.result.advice.endswith(".")
    assert found.result.advice.count(". ") == 0


@pytest.mark.parametrize("name", NAMES)
def test_its_figures_are_drawn(name):
    from matplotlib.figure import Figure

    figures = one(name).result.figures
    assert figures
    for draw in figures.values():
        assert isinstance(draw(), Figure)


def test_torch_and_matplotlib_are_imported_where_they_are_needed():
    code = (
        "import sys\n"
        "from sslbench.cli.main import call\n"
        "import contextlib, io\n"
        "for name in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        assert call(['simulate', name, '--set', 'claim_seeds=1']) == 0\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)\n"
    )
    for names, torch in ((sorted(SEVEN - WITH_TENSORS), "False"), (sorted(WITH_TENSORS), "True")):
        done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [torch, "False"]
