"""Packages of others in a scratch environment: those that ``sslbench new`` writes, and tests/thirdparty, which brings
one plugin of every kind and is listed, checked, ranked, upgraded, broken and uninstalled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sslbench.hooks.catalogue import KINDS

pytestmark = pytest.mark.slow
PETREL = Path(__file__).parent / "thirdparty"
DRIVER = """
import contextlib, io, json, sys
import pytest
from sslbench.cli.main import call

done = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = pytest.main(words[1:]) if words[0] == "pytest" else call(words)
    done.append([int(code), out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""
SMALL = "--seeds 0 --epochs 1 --set train_images=64 --format json"


class Environment:
    """An environment that sees this one's packages and has its own; commands run in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "env", with_pip=True)
        self.bin = folder / "env/bin"
        purelib = self.python("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip()
        outer = [path for path in sys.path if path.endswith("site-packages")]
        Path(purelib, "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in outer))
        for name in ("sslbench", "pytest"):
            (self.bin / name).write_text(f'#!/bin/sh\nexec {self.bin}/python -m {name} "$@"\n')
            (self.bin / name).chmod(0o755)
        self.pip("install", "hatchling", "editables")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / "python"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def pip(self, command: str, *arguments: str) -> None:
        self.python("-m", "pip", "--disable-pip-version-check", command, "-q", *arguments)

    def install(self, *arguments: str) -> None:
        """Without the network: what builds packages is there, and so is all that they require."""
        self.pip("install", "--no-build-isolation", "--no-index", "--no-deps", *arguments)

    def shell(self, line: str) -> str:
        """What a line prints; it must end well."""
        offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
        command = ["bash", "-ec", line]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **offline, "PATH": f"{self.bin}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, *commands: str) -> list[tuple[int, str, str]]:
        """Exit code, stdout and stderr of commands of ``sslbench`` or ``pytest``, all in one process."""
        words = [command.split() for command in commands]
        return [
            tuple(done) for done in json.loads(self.python("-c", DRIVER, json.dumps(words)).stdout.splitlines()[-1])
        ]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    return Environment(tmp_path_factory.mktemp("scratch"))


def test_the_commands_that_are_printed_work_one_after_another(environment):
    line = "sslbench new method mine && pip install -qe mine && sslbench check method.mine && pytest mine"
    assert "2 passed" in environment.shell(line)


def test_what_is_written_of_every_kind_is_installed_checked_tested_and_run(environment):
    environment.call(*(f"new {kind} my-{kind}" for kind in KINDS))
    environment.install(*(word for kind in KINDS for word in ("-e", f"./my-{kind}")))
    run = {kind: f"run my-{kind}/suite.toml {SMALL}" for kind in KINDS if kind != "simulator"}
    run["executor"] += " --executor my-executor"
    check = f"check {' '.join(f'{kind}.my-{kind}' for kind in KINDS)} --ranks 1"
    test = f"pytest -q {' '.join(f'my-{kind}' for kind in KINDS)}"
    checked, *ran, simulated, tested = environment.call(
        check, *run.values(), "simulate my-simulator --format json", test
    )
    assert (checked[0], checked[1].startswith("checked 9 plugins, ")) == (0, True), checked
    for kind, (_, out, err) in zip(run, ran, strict=True):
        records = json.loads(out)["records"]
        assert {record["status"] for record in records} == {"done"}, err
        assert kind in ("executor", "observer") or f"my-{kind}" in {record[kind] for record in records}
    rows = (environment.folder / "sslbench-results/my-observer/my-observer.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["1"]
    assert json.loads(simulated[1])["claims"][0]["verdict"] == "holds"
    assert "21 passed" in tested[1], tested


# A distribution of others, from its first version to its end. Each test goes on where the one before left it.


@pytest.fixture(scope="module")
def petrel(environment) -> Path:
    """Its sources, installed."""
    folder = environment.folder / "petrel"
    shutil.copytree(PETREL, folder)
    environment.install("./petrel")
    return folder


RUN = "run petrel/suite.toml --out out --format json"
PLAN = "plan petrel/suite.toml --out out --format json"


def statuses(out: str, part: str) -> dict[tuple[str, str], str]:
    """(method, evaluator) -> status, of the JSON of ``plan`` or ``run``; of several maskings that of the last."""
    return {(item["method"], item["evaluator"]): item["status"] for item in json.loads(out)[part]}


def test_it_is_listed_checked_and_ranked_beside_the_built_in_ones(environment, petrel):
    apart = "run -m random-init -b patch-bag -d rings -e ridge --executor apart --format json"
    rest = "simulate neighbours --format json", "pytest -q petrel/tests", "check petrel-ssl"
    listed, ran, planned, other, simulated, tested, checked = environment.call(
        "list --format json", RUN, PLAN, apart, *rest
    )
    brought = [spec for spec in json.loads(listed[1])["specs"] if spec["distribution"] == "petrel-ssl"]
    assert sorted(spec["kind"] for spec in brought) == sorted(KINDS)
    assert all(spec["version"] == "1.0" and spec["summary"] for spec in brought)
    assert set(statuses(ran[1], "records").values()) == {"done"}, ran[2]
    assert {method for method, _ in statuses(ran[1], "records")} == {"nnclr", "simclr", "mae", "random-init"}
    assert set(statuses(planned[1], "cells").values()) == {"done"}
    assert "nnclr ridge: done" in (environment.folder / "out/diary.txt").read_text()
    assert statuses(other[1], "records") == {("random-init", "ridge"): "done"}, other[2]
    assert json.loads(simulated[1])["claims"][0]["verdict"] == "holds"
    assert "2 passed" in tested[1], tested
    assert (checked[0], checked[1].startswith("checked 9 plugins, ")) == (0, True), checked


def test_after_an_upgrade_its_results_are_stale_and_plan_says_why(environment, petrel):
    project = petrel / "pyproject.toml"
    project.write_text(project.read_text().replace('"1.0"', '"1.1"'))
    environment.install("./petrel")
    listed, planned, kept = environment.call("list method --format json", PLAN, f"{PLAN} --keep-stale")
    assert {"1.1"} == {s["version"] for s in json.loads(listed[1])["specs"] if s["distribution"] == "petrel-ssl"}
    cells = json.loads(planned[1])["cells"]
    assert {cell["status"] for cell in cells} == {"stale"}
    assert all("petrel-ssl 1.0" in cell["reason"] for cell in cells), cells[0]
    assert set(statuses(kept[1], "cells").values()) == {"done"}


def test_one_that_cannot_be_imported_is_named_and_the_others_run(environment, petrel):
    module = petrel / "src/petrel/nnclr.py"
    module.write_text(module.read_text().replace("import torch\n", "import torch, gannet\n", 1))
    environment.install("./petrel")
    plugins, checked, others, ran = environment.call(
        "plugins --format json", "check method.nnclr", f"{RUN} -m simclr -m random-init", RUN
    )
    rows = {row["name"]: row for row in json.loads(plugins[1])["plugins"]}
    assert {name for name, row in rows.items() if row["status"] == "failed"} == {"method.nnclr"}
    assert "No module named 'gannet'" in rows["method.nnclr"]["reason"]
    for asked in (checked, ran):
        assert asked[:2] == (2, "")
        assert "method 'nnclr' from petrel-ssl 1.1 is broken: ModuleNotFoundError: No module named 'gannet'" in asked[2]
    assert set(statuses(others[1], "records").values()) == {"done"}, others[2]


def test_when_it_is_gone_results_stay_readable_and_plan_says_what_is_missing(environment, petrel):
    environment.pip("uninstall", "-y", "petrel-ssl")
    read, planned = environment.call("results out --format json", PLAN)
    assert read[0] == 0
    assert statuses(read[1], "records")["nnclr", "ridge"] == "done"
    assert (planned[0], planned[1]) == (2, "")
    for words in ("unknown method 'nnclr'", "unknown dataset 'rings'", "unknown backbone 'patch-bag'"):
        assert words in planned[2]
