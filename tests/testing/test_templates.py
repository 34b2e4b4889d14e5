"""What ``sslbench new`` writes, for every kind: it keeps its contract, lints, and its suite has no mistake."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter

import pytest

from sslbench.contracts.params import MaskingParams, MethodParams, Params, SimulatorParams
from sslbench.hooks.catalogue import KINDS
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.expand import resolve_suite
from sslbench.plan.suite import Overrides, read_suite
from sslbench.testing.conformance import problems
from sslbench.testing.new_package import bound, new_package, plugin_files
from sslbench.testing.plugin_names import PluginNames

COMMON = {"method": MethodParams, "masking": MaskingParams, "simulator": SimulatorParams}
"""kind -> the parameters that all of it have"""


@pytest.fixture
def made(tmp_path, monkeypatch, distribution):
    """Make a package of one plugin, and let this process find it as pip would."""
    monkeypatch.chdir(tmp_path)

    def make(kind, name):
        new_package(kind, name)
        project = tomllib.loads((tmp_path / name / "pyproject.toml").read_text())["project"]
        distribution(project["name"], project["entry-points"]["sslbench"], {}, project["version"])
        monkeypatch.syspath_prepend(str(tmp_path / name / "src"))
        return tmp_path / name

    default_registry.cache_clear()
    yield make
    default_registry.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_found_keeps_its_contract_and_has_one_parameter_and_a_summary(made, kind):
    made(kind, f"my-{kind}")
    registry = Registry()
    spec = registry.get(kind, f"my-{kind}")
    assert problems(spec) == []
    own = set(spec.params.model_fields) - set(COMMON.get(kind, Params).model_fields)
    assert len(own) == 1
    assert spec.summary.startswith(f"My {kind}: ")
    assert registry.entry_of(kind, f"my-{kind}").summary == spec.summary


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "simulator"])
def test_its_suite_has_no_mistake_and_ranks_it_beside_a_built_in_one(made, kind):
    folder = made(kind, "mine")
    raw = read_suite(str(folder / "suite.toml"))
    suite = resolve_suite(raw, Overrides(), Registry())
    assert (suite.name, suite.seeds) == ("mine", (0, 1, 2))
    axes = raw.data["axes"]
    assert [axis for axis in axes if "mine" in axes[axis]] == ([kind] if kind in axes else [])
    assert len(axes.get(kind, "mine")) >= 2
    assert raw.data.get("observers") == (["mine"] if kind == "observer" else None)


def test_a_simulator_has_no_suite(made):
    assert not (made("simulator", "mine") / "suite.toml").exists()


AWKWARD = ("3d", "v1.5", "lambda", "class", "none", "true", "match", "params", "plugin", "problems", "torch", "test")


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_collides_with_what_the_module_imports(kind):
    files = dict(plugin_files(PluginNames(kind, "mine", "package"), "module", "test", ""))
    words = [*AWKWARD, *(name.lower().replace("_", "-") for name in bound(files["module"]))]
    for word in words:
        files = dict(plugin_files(PluginNames(kind, word, "package"), "module", "test", ""))
        assert max(Counter(bound(files["module"])).values()) == 1, word
        assert max(Counter(bound(files["test"])).values()) == 1, word
        for text in files.values():
            compile(text, word, "exec")


@pytest.mark.slow  # ruff need not be there
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_ruff_with_its_configuration_and_without(made, kind):
    folder = made(kind, "mine")
    for arguments in (["check"], ["check", "--isolated"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
