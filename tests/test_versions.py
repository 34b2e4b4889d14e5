"""The versions that are promised are those that ``.ci/versions`` tests."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def script():
    return runpy.run_path(str(ROOT / ".ci/versions"))


def test_every_requirement_is_tested_at_its_lower_bound():
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert sorted(script()["lowest"]()) == sorted({text.replace(">=", "==") for text in requirements})


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
