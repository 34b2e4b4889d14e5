"""What holds for every simulator, by being registered."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sslbench.claims.simulate import simulate
from sslbench.claims.text import render_json
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

NAMES = Registry().catalogue.names("simulator")
BUILT_IN = {
    "augmentation-analyzer",
    "augmentation-validator",
    "collapse",
    "imbalance-comparator",
    "label-bottleneck",
    "lejepa-dynamics",
    "masking-comparator",
    "momentum-dynamics",
    "scientific-image-analyzer",
}
WITH_TENSORS = {"collapse": "epochs=1", "lejepa-dynamics": "steps=5", "masking-comparator": "draws=5"}


def quick(name):
    """Parameters that cost little."""
    fields = Registry().get("simulator", name).params.model_fields
    return {
        key: value for key, value in {"claim_seeds": 1, "draws": 5, "epochs": 2, "steps": 50}.items() if key in fields
    }


def run(name, seed=42, **given):
    (simulation,) = simulate([name], seed=seed, given={**quick(name), **given})
    return simulation


def test_the_built_in_ones_are_there():
    assert set(NAMES) >= BUILT_IN


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_its_contract(name):
    assert problems(Registry().get("simulator", name), **quick(name)) == []


@pytest.mark.parametrize("name", sorted(BUILT_IN - {"label-bottleneck", "masking-comparator"}))
def test_seeds_differ(name):
    assert run(name).result.tables != run(name, seed=43).result.tables


@pytest.mark.parametrize("name", NAMES)
def test_claims_rest_on_the_seed_and_those_after_it(name):
    simulation = run(name, seed=7, claim_seeds=2)
    assert simulation.result.claims
    assert {claim.seeds for claim in simulation.result.claims} == {(7, 8)}
    assert len({claim.statement for claim in simulation.result.claims}) == len(simulation.result.claims)


@pytest.mark.parametrize("name", NAMES)
def test_it_rests_on_twenty_seeds_by_default(name):
    assert Registry().get("simulator", name).params().claim_seeds == 20


@pytest.mark.parametrize("name", NAMES)
def test_it_is_json_and_advises_a_practitioner(name):
    simulation = run(name)
    document = json.loads(render_json([simulation], single=True))
    assert list(document) == ["schema", "simulator", "seed", "parameters", "tables", "claims"]
    assert all(document["tables"].values())
    assert simulation.result.advice.endswith(".")
    assert simulation.result.advice.count(". ") == 0


@pytest.mark.parametrize("name", NAMES)
def test_its_figures_are_drawn(name):
    from matplotlib.figure import Figure

    figures = run(name).result.figures
    assert figures
    for draw in figures.values():
        assert isinstance(draw(), Figure)


@pytest.mark.slow
def test_torch_and_matplotlib_are_imported_where_they_are_needed():
    code = (
        "import contextlib, io, sys\n"
        "from sslbench.cli.main import call\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert call(['simulate', *sys.argv[1:], '--set', 'claim_seeds=1']) == 0\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules)\n"
    )
    without = ",".join(f"simulator.{name}" for name in sorted(BUILT_IN - set(WITH_TENSORS)))
    alone = [([name, "--set", cheap], "", "True") for name, cheap in WITH_TENSORS.items()]
    runs = [(["--set", "draws=5"], without, "False"), *alone]
    for names, limited, torch in runs:
        environment = {**os.environ, "SSLBENCH_PLUGINS": limited} if limited else dict(os.environ)
        done = subprocess.run(
            [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.split() == [torch, "False"]
