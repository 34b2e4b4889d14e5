from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench.claims.simulate import finite, simulate

OTHER = """
    '''A simulator of somebody else's.'''
    from sslbench import SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, check_claim, param

    class Params(SimulatorParams):
        size: int = param(3, "of it", ge=1)

    class Other:
        def __init__(self, params):
            self.params = params

        def run(self, seed):
            rows = [{"seed": seed, "value": float("nan")}]
            claim = check_claim("it is so", "me", "yes", {s: s % 2 == 0 for s in range(seed, seed + 2)})
            return SimulationResult({"rows": rows}, [claim], advice="Do it.")

    @hookimpl
    def sslbench_simulators():
        return [SimulatorSpec(name="other", params=Params, build=lambda params, context: Other(params))]
"""


@pytest.fixture
def registry(distribution, monkeypatch):
    from sslbench.hooks.registry import Registry

    monkeypatch.setenv("SSLBENCH_PLUGINS", "other-simulator,simulator.label-bottleneck")
    distribution("other-simulator", {"simulator.other": "other_simulator"}, {"other_simulator": OTHER})
    return Registry()


def test_all_that_are_installed_run_in_order(registry):
    simulations = list(simulate(seed=4, registry=registry))
    assert [one.name for one in simulations] == ["label-bottleneck", "other"]
    assert simulations[1].seed == 4
    assert simulations[1].summary == "A simulator of somebody else's."
    assert simulations[1].parameters == {"claim_seeds": 20, "size": 3}
    assert simulations[1].result.claims[0].verdict == "undecided"


def test_what_is_no_number_is_none_with_a_reason(registry):
    (one,) = simulate(["other"], registry=registry)
    assert one.result.tables["rows"] == [{"seed": 42, "value": None, "reason": "not a finite number: value"}]
    assert finite({"a": float("inf"), "reason": "known"}, "x") == {"a": None, "reason": "known"}


def test_a_parameter_goes_to_those_that_have_it(registry):
    simulations = {one.name: one for one in simulate(given={"fraction": 0.5, "claim_seeds": 2}, registry=registry)}
    assert simulations["label-bottleneck"].parameters["fraction"] == 0.5
    assert simulations["other"].parameters == {"claim_seeds": 2, "size": 3}


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        (["othr"], {}, "unknown simulator 'othr'; did you mean 'other'? (see: sslbench list simulator)"),
        (["other"], {"sise": 3}, "simulator 'other': unknown parameter 'sise'; did you mean 'size'?"),
        (["other"], {"size": 0}, "simulator 'other': size = 0: input should be greater than or equal to 1"),
        (None, {"sise": 3}, "no simulator has a parameter 'sise'; did you mean 'size'? (see: sslbench show simulator"),
        (None, {"size": 0}, "simulator 'other': size = 0: input should be greater than or equal to 1"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(registry, names, given, words):
    with pytest.raises(UserError) as caught:
        simulate(names, given=given, registry=registry)  # not even iterated over
    assert len(caught.value.messages) == 1
    assert caught.value.messages[0].startswith(words)
