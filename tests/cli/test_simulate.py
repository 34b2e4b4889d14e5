from __future__ import annotations

import json

import numpy as np
import pytest

from sslbench.cli.main import call

FEW = ("--set", "claim_seeds=1")
FEWEST = (*FEW, "--set", "draws=5", "--set", "steps=50", "--set", "epochs=1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call_with(capsys, *arguments):
    code = call(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_one_simulator_as_a_person_reads_it(capsys):
    code, out, err = call_with(capsys, "simulate", "label-bottleneck")
    assert (code, err) == (0, "")
    assert out.startswith("label-bottleneck, seed 42\n")
    assert "✗ fails" in out
    assert out.index("\ncosts\n") < out.index("\nclaims (seeds 42 to 61, 20 of them)\n") < out.index("In practice: ")


def test_json_of_one_is_the_object_itself(capsys):
    code, out, _ = call_with(capsys, "simulate", "augmentation-validator", "--seed", "3", "--format", "json", *FEW)
    document = json.loads(out)
    assert code == 0
    assert list(document) == ["schema", "simulator", "seed", "parameters", "tables", "claims"]
    assert (document["schema"], document["simulator"], document["seed"]) == (2, "augmentation-validator", 3)
    assert document["parameters"]["claim_seeds"] == 1
    assert call_with(capsys, "simulate", "augmentation-validator", "--seed", "3", "--format", "json", *FEW)[1] == out


def test_all_of_them(capsys):
    code, out, _ = call_with(capsys, "simulate", "--format", "json", "--claims-only", *FEWEST)
    document = json.loads(out)
    assert code == 0
    assert list(document) == ["schema", "simulations"]
    assert len(document["simulations"]) >= 7
    assert all(one["claims"] and not one["tables"] for one in document["simulations"])
    code, out, _ = call_with(capsys, "simulate", "--claims-only", "--format", "markdown", *FEWEST)
    assert code == 0
    assert [line for line in out.split("\n") if line.startswith("## ")] == [
        f"## {one['simulator']}" for one in document["simulations"]
    ]


def test_figures(capsys, tmp_path):
    code, out, err = call_with(capsys, "simulate", "label-bottleneck", "--figures", "saved", "--format", "json")
    assert code == 0
    assert json.loads(out)
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "label-bottleneck-costs.png",
        "label-bottleneck-costs.svg",
    ]
    assert err.count("sslbench: wrote saved/") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope",), "unknown simulator 'nope'"),
        (("label-botleneck",), "unknown simulator 'label-botleneck'; did you mean 'label-bottleneck'?"),
        (("label-bottleneck", "--set", "fraktion=1"), "unknown parameter 'fraktion'; did you mean 'fraction'?"),
        (("label-bottleneck", "--set", "fraction"), "--set 'fraction' is not KEY=VALUE"),
        (("label-bottleneck", "--set", "fraction=0"), "fraction = 0: input should be greater than 0"),
        (("--set", "nothing=1"), "no simulator has a parameter 'nothing'"),
        (("augmentation-analyzer", "--set", "draws=0"), "draws = 0: input should be greater than or equal to 1"),
        (("augmentation-analyzer", "--set", "augmentations=simclrr"), "unknown augmentation 'simclrr'; did you mean"),
        (("augmentation-validator", "--set", "augmentations="), "augmentations = '': name at least one"),
        (("augmentation-validator", "--set", "image=no.png"), "image = 'no.png': No such file or directory"),
        (("momentum-dynamics", "--set", "m=1.5"), "m.0 = 1.5: input should be less than 1"),
        (("momentum-dynamics", "--set", "m=1"), "m.0 = 1: input should be less than 1"),
        (("momentum-dynamics", "--set", "m=-0.1"), "m.0 = -0.1: input should be greater than or equal to 0"),
        (("momentum-dynamics", "--set", "steps=0"), "steps = 0: input should be greater than or equal to 1"),
        (("masking-comparator", "--set", "ratios=1"), "ratios.0 = 1: input should be less than 1"),
        (("masking-comparator", "--set", "ratios=0.5+0"), "ratios.1 = 0: input should be greater than 0"),
        (("masking-comparator", "--set", "grid=8"), "grid = 8: expected ROWSxCOLUMNS, such as 8x8"),
        (("masking-comparator", "--set", "draws=0"), "draws = 0: input should be greater than or equal to 1"),
        (("masking-comparator", "--set", "maskings=blok"), "maskings: unknown masking 'blok'; did you mean 'block'?"),
        (("scientific-image-analyzer", "--set", "image=flat.npy"), "shape 4 x 4; expected [channels, rows, columns]"),
        (("imbalance-comparator", "--set", "features=no.csv"), "features = 'no.csv': no such file"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, arguments, words):
    np.save("flat.npy", np.zeros((4, 4)))
    code, out, err = call_with(capsys, "simulate", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert err.startswith("sslbench: error: ")


def test_nothing_undefined_is_called_nan(capsys):
    np.save("ones.npy", np.ones((4, 5, 5)))
    for arguments in (
        ("scientific-image-analyzer", "--set", "image=ones.npy"),
        ("masking-comparator", "--set", "grid=4x4", "--set", "ratios=0.99+0.95"),
        ("momentum-dynamics", "--set", "steps=1", "--set", "m=0"),
    ):
        code, out, err = call_with(capsys, "simulate", *arguments, "--format", "json", *FEW)
        assert (code, err) == (0, "")
        document = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))
        undefined = [row for rows in document["tables"].values() for row in rows if None in row.values()]
        assert undefined
        assert all(row["reason"] for row in undefined)
        code, out, err = call_with(capsys, "simulate", *arguments, *FEW)
        assert (code, err) == (0, "")
        assert "nan" not in out.lower().split()


def test_claims(capsys, monkeypatch):
    monkeypatch.setenv("SSLBENCH_PLUGINS", "simulator.label-bottleneck")
    from sslbench.hooks import registry

    registry.default_registry.cache_clear()
    try:
        code, out, _ = call_with(capsys, "claims", "--format", "json")
        assert code == 0
        rows = json.loads(out)["claims"]
        assert len(rows) == 8
        assert {row["verdict"] for row in rows} == {"fails", "not measured yet"}
        code, out, _ = call_with(capsys, "claims")
        assert code == 0
        assert "sslbench simulate" in out
        assert out.rstrip().endswith("8 claims: 2 fail, 6 not measured yet")
    finally:
        registry.default_registry.cache_clear()


BAD = """
    '''Raises.'''
    from sslbench import SimulatorParams, SimulatorSpec, hookimpl

    class Bad:
        def __init__(self, params):
            pass

        def run(self, seed):
            raise ZeroDivisionError("oops")

    @hookimpl
    def sslbench_simulators():
        return [SimulatorSpec(name="bad", params=SimulatorParams, build=lambda params, context: Bad(params))]
"""


def test_other_peoples_simulators_that_fail_cost_only_themselves(capsys, distribution, monkeypatch):
    from sslbench.hooks import registry

    modules = {"bad_simulator": BAD, "ill_simulator": "raise RuntimeError('boom')"}
    distribution("bad-one", {"simulator.bad": "bad_simulator", "simulator.ill": "ill_simulator"}, modules)
    monkeypatch.setenv("SSLBENCH_PLUGINS", "bad-one,simulator.label-bottleneck")
    registry.default_registry.cache_clear()
    lines = [
        "sslbench: error: simulator 'ill' from bad-one 1.0 is broken: RuntimeError: boom",
        "sslbench: error: simulator 'bad' raised ZeroDivisionError: oops (all of it: sslbench simulate bad)",
    ]
    try:
        for command, words in (("simulate", "label-bottleneck, seed 42\n"), ("claims", "8 claims: 2 fail")):
            code, out, err = call_with(capsys, command)
            assert code == 1
            assert words in out
            assert err.splitlines()[-2:] == lines
        code, out, _ = call_with(capsys, "simulate", "ill")
        assert (code, out) == (2, "")
        with pytest.raises(ZeroDivisionError, match="oops"):
            call(["simulate", "bad"])
    finally:
        registry.default_registry.cache_clear()


def test_claims_of_a_folder_that_is_not_there(capsys):
    code, out, err = call_with(capsys, "claims", "--results", "nowhere")
    assert (code, out) == (2, "")
    assert "nowhere" in err
    assert len(err.splitlines()) == 1
