"""The versions that are promised are those that ``.ci/versions`` tests."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


PRIVATE = {
    "torch._dynamo.exc": {"BackendCompilerFailed", "TorchDynamoException"},
    "torch._inductor": {"config", "list_options", "metrics"},
    "torch._inductor.codegen.triton": {"TritonKernel"},
    "torch._inductor.decomposition": {"select_decomp_table"},
    "torch._inductor.exc": {"InvalidCxxCompiler"},
    "torch._inductor.graph": {"GraphLowering"},
    "torch._inductor.runtime.hints": {"DeviceProperties"},
    "torch._inductor.virtualized": {"V"},
    "torch._subclasses.fake_tensor": {
        "DataDependentOutputException",
        "DynamicOutputShapeException",
        "FakeTensor",
        "FakeTensorMode",
        "unset_fake_temporarily",
    },
}
"""what is imported of torch's private modules, all of it seen in torch 2.11.0, the lowest version that is promised"""


def script():
    return runpy.run_path(str(ROOT / ".ci/versions"))


def test_every_requirement_is_tested_at_its_lower_bound():
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert sorted(script()["lowest"]()) == sorted({text.replace(">=", "==") for text in requirements})


def test_what_is_imported_of_torchs_private_modules_is_in_the_lowest_version_too():
    """Nothing promises such a name: one that only newer versions have breaks whatever imports the module."""
    assert "torch>=2.11" in PROJECT["dependencies"], "look whether all of PRIVATE is in the new lowest version"
    paths = [path for room in ("sslbench", "plugins", "tests", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch._"):
                unknown = {alias.name for alias in node.names} - PRIVATE.get(node.module, set())
                assert not unknown, f"{path}: {sorted(unknown)} of {node.module}: look whether torch 2.11.0 has it"


def test_the_pythons_of_the_classifiers_are_tested_from_the_lowest_on():
    versions = script()["PYTHONS"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    minors = [int(re.fullmatch(r"3\.(\d+)", version)[1]) for version in versions]
    assert minors == list(range(minors[0], minors[0] + len(minors)))


def test_a_version_that_is_not_there_is_refused_with_what_to_do(monkeypatch):
    versions = script()
    monkeypatch.setattr(Path, "home", lambda: Path("/nowhere"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(SystemExit, match=r"no python3\.99 on this machine; install it"):
        versions["interpreter"]("3.99")
    assert versions["interpreter"](f"3.{sys.version_info.minor}")
