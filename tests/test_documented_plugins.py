"""The plugins of docs/plugins.md, installed by pip into a scratch environment, type-checked, and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from sslbench.hooks.catalogue import KINDS
from sslbench.testing.new_package import new_package

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/plugins.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


POINTS = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]["sslbench"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project folder as an author has it: one module for each kind, and the test of the page."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "my_package").mkdir()
    (folder / "my_package/__init__.py").write_text("")
    modules = {point.partition(".")[0]: module for point, module in POINTS.items()}
    for block in blocks("python"):
        kind = re.search(r"def sslbench_(\w+)s\(\)", block)
        path = f"{modules[kind[1]].replace('.', '/')}.py" if kind else "test_mine.py"
        (folder / path).write_text(block)
    lines = [f'"{point}" = "{module}"' for point, module in POINTS.items()]
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "my-package"\nversion = "1.0"\n[project.entry-points.sslbench]\n' + "\n".join(lines)
    )
    return folder


@pytest.fixture(scope="module")
def python(project, tmp_path_factory) -> Path:
    """The interpreter of a scratch environment that sees this one's packages and the project, installed by pip."""
    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env/bin/python"
    purelib = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(subprocess.run([python, "-c", purelib], capture_output=True, text=True, check=True).stdout.strip())
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in outer))
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", str(project)]
    subprocess.run(pip, check=True, capture_output=True)
    return python


def test_every_kind_is_there_and_type_checks_strictly_against_the_public_door(project, tmp_path, monkeypatch):
    """So does all that ``sslbench new`` writes: one process for both, of which torch takes most of the time."""
    monkeypatch.chdir(tmp_path)
    for kind in KINDS:
        new_package(kind, f"my-{kind}")
    made = [tmp_path / f"my-{kind}" / part for kind in KINDS for part in ("src", "tests")]
    monkeypatch.setenv("MYPYPATH", os.pathsep.join(str(path) for path in made if path.name == "src"))
    command = [sys.executable, "-m", "mypy", "--strict", "my_package", "test_mine.py", *map(str, made)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith(f"Success: no issues found in {11 + 3 * len(KINDS)} source files"), done.stdout


def test_each_passes_its_conformance_where_it_is_installed(python, tmp_path):
    code = (
        "import json, sys; from sslbench.hooks.registry import Registry;"
        "from sslbench.testing.conformance import problems; registry = Registry();"
        "print(json.dumps({point: problems(registry.get(*point.split('.', 1))) for point in json.loads(sys.argv[1])}))"
    )
    command = [python, "-c", code, json.dumps(list(POINTS))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {point: [] for point in POINTS}


def test_all_of_them_together_make_a_run(python, tmp_path):
    axes = "-m rotation -m mae -a noise -k checkerboard -b patch-mean -b vit-tiny-small-image -d stripes -e centroid"
    command = [
        python,
        "-m",
        "sslbench",
        "run",
        *axes.split(),
        "--executor",
        "thread",
        "--observer",
        "losses",
        "--out",
        "out",
        "--epochs",
        "1",
        "--format",
        "json",
    ]
    command += ["--set", "preset=quick", "--batch-size", "16"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)["records"]
    statuses = {(record["method"], record["backbone"]): record["status"] for record in records}
    assert statuses["rotation", "patch-mean"] == statuses["rotation", "vit-tiny-small-image"] == "done"
    assert statuses["mae", "vit-tiny-small-image"] == "done"
    assert statuses["mae", "patch-mean"] == "skipped"
    rows = (tmp_path / "out" / "losses.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["1"] * 3


def test_the_simulator_runs_by_its_name(python, tmp_path):
    command = [python, "-m", "sslbench", "simulate", "birthday", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["claims"][0]["verdict"] == "holds"
