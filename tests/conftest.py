"""Scratch distributions, the fixture that most tests of the harness share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

# Two cores are shared with whatever else runs; one thread keeps timings and sums steady.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Distribution = Callable[..., Path]


def write_distribution(
    folder: Path, name: str, entry_points: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0"
) -> Path:
    """A distribution as pip leaves it: modules, and the metadata that importlib reads."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[sslbench]\n{points}")
    for module, source in modules.items():
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return folder


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Write a scratch distribution and put it on the path of this process."""

    def make(name: str, entry_points: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0") -> Path:
        folder = write_distribution(tmp_path / "dists" / name, name, entry_points, modules, version)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    yield make
    scratch = str(tmp_path)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(scratch):
            del sys.modules[name]


@pytest.fixture
def sslbench(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user would: another process, in an empty folder."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def call(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **environment}
        if path is not None:
            variables["PYTHONPATH"] = os.pathsep.join([str(path), variables.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", "sslbench", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call
