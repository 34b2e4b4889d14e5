"""Third-party distributions, really built, really installed by pip into a scratch environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

GOOD = '''"""A masking from elsewhere."""
import torch
from sslbench import MaskingParams, MaskingSpec, masked_count, hookimpl


class Left:
    """Masks the first patches."""

    def sample(self, batch, grid, ratio, generator):
        patches = grid[0] * grid[1]
        mask = torch.zeros(batch, patches, dtype=torch.bool, device=generator.device)
        mask[:, : masked_count(patches, ratio)] = True
        return mask


@hookimpl
def sslbench_maskings():
    return [MaskingSpec(name="left", build=lambda params, context: Left())]
'''
BROKEN = '"""A method that cannot be imported."""\nimport no_such_module_anywhere\n'


def build_wheel(folder: Path, name: str, points: str, source: str) -> Path:
    """A wheel, by hand: a zip of the module and its metadata."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[sslbench]\n{points}\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of a scratch environment that sees this one's packages and two plugins of its own."""
    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    purelib = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(subprocess.run([python, "-c", purelib], capture_output=True, text=True, check=True).stdout.strip())
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in outer))
    wheels = [
        build_wheel(folder, "elsewhere_good", "masking.left = elsewhere_good", GOOD),
        build_wheel(folder, "elsewhere_broken", "method.broken = elsewhere_broken", BROKEN),
    ]
    command = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check", *wheels]
    subprocess.run(command, check=True, capture_output=True)
    return python


@pytest.fixture
def call(python, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [python, "-m", "sslbench", *arguments],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=200,
        )

    return run


def test_both_are_listed_from_their_metadata(call):
    done = call("list", "--format", "json")
    rows = {(spec["kind"], spec["name"]): spec for spec in json.loads(done.stdout)["specs"]}
    assert rows["masking", "left"]["summary"] == "A masking from elsewhere."
    assert rows["masking", "left"]["distribution"] == "elsewhere_good"
    assert rows["method", "broken"]["summary"] == "A method that cannot be imported."
    assert done.returncode == 0


def test_plugins_says_which_is_broken_and_why(call):
    done = call("plugins", "--format", "json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["plugins"]}
    assert done.returncode == 0
    assert rows["masking.left"]["status"] == "ok"
    assert rows["method.broken"]["status"] == "failed"
    assert "No module named 'no_such_module_anywhere'" in rows["method.broken"]["reason"]


def test_a_run_that_needs_the_broken_one_ends_before_its_first_cell(call, tmp_path):
    done = call("run", "-m", "broken", "-m", "raw-pixels", "-e", "knn")
    assert (done.returncode, done.stdout) == (2, "")
    assert "method 'broken' from elsewhere_broken 1.0 is broken: ModuleNotFoundError" in done.stderr
    assert not (tmp_path / "sslbench-results").exists()


def test_one_that_does_not_need_it_goes_on_and_ranks_the_good_one_like_a_builtin(call):
    backbone = "vit-tiny-small-image:dim=12,depth=1,heads=1"
    done = call(
        "run",
        "-m",
        "mae",
        "-k",
        "left",
        "-k",
        "random",
        "-b",
        backbone,
        "-d",
        "shapes:train_images=64,test_images=16,image_size=16",
        "-e",
        "knn",
        "--epochs",
        "1",
        "--format",
        "json",
    )
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)["records"]
    assert [(r["masking"], r["status"]) for r in records] == [("left", "done"), ("random", "done")]
    assert "broken" not in done.stderr


def test_strict_plugins_refuses_to_start(call):
    done = call("run", "-m", "raw-pixels", "-e", "knn", "--strict-plugins")
    assert done.returncode == 2
    assert "plugin method.broken of elsewhere_broken is broken" in done.stderr
