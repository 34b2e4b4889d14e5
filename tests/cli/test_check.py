"""``sslbench check``: what it takes, what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sslbench.cli.main import call

PAGE = (Path(__file__).parents[2] / "docs/check.md").read_text()
DIM = next(
    block for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL) if "Dim" in block
)
SHADE = '''"""Shade: darker images."""
from sslbench import AugmentationSpec, Params, UserError, centre_view, hookimpl, param
class ShadeParams(Params):
    light: float = param(1.0, "share of the light that is kept", ge=0, le=1)
    steps: int = param(2, "times that it is darkened", ge=0, le=4)
    kind: str = param(..., "what it is called")
class Shade:
    def __init__(self, params):
        if params.steps == 4:
            raise UserError("steps = 4: too many; allowed: up to 3")
        self.light = params.light ** (1 / params.steps)
    def view(self, index, kind, size):
        return lambda images, generator: centre_view(images, size) * self.light
@hookimpl
def sslbench_augmentations():
    return [AugmentationSpec(name="shade", params=ShadeParams, build=lambda params, context: Shade(params))]
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(capsys):
    """Exit code, lines of stdout and of stderr."""

    def run(*arguments):
        code = call(["check", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_example_of_the_page(here, check, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    (here / "dim.py").write_text(DIM)
    code, out, err = check("dim.py")
    assert code == 1
    assert f"```text\n$ sslbench check dim.py\n{out}```" in PAGE
    assert err == "sslbench: checking augmentation.dim (1 of 1)\n"


def test_the_same_for_programs(here, check):
    (here / "dimmer.py").write_text(DIM)
    code, out, _ = check("dimmer.py", "--json", "-q")
    document = json.loads(out)
    assert (code, document["faults"]) == (1, 1)
    (plugin,) = document["plugins"]
    (fault,) = plugin["faults"]
    assert (plugin["kind"], plugin["name"]) == ("augmentation", "dim")
    assert (Path(fault["file"]).name, fault["line"], fault["in"]) == ("dimmer.py", 10, "Dim.view")
    assert fault["contract"].startswith("Every image gets its own random parameters")
    assert check("dimmer.py", "--format", "json", "-q")[1] == out


def test_limits_of_parameters_are_tried_and_what_is_refused_in_words_is_fine(here, check, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    (here / "shade.py").write_text(SHADE)
    code, out, _ = check("shade.py", "--set", "kind=dark")
    assert code == 1
    assert max(map(len, out.splitlines())) <= 80
    (line,) = [line for line in out.splitlines() if "shade.py:" in line]
    assert line.startswith("  shade.py:11: raised ZeroDivisionError")
    assert "(with steps=0)" in out
    assert "too many" not in out
    assert check("shade.py", "--set", "kind=dark", "--quick")[0] == 0


def test_a_parameter_without_a_value_is_named_with_how_to_give_it(here, check):
    (here / "shade_of_nothing.py").write_text(SHADE)
    code, out, _ = check("shade_of_nothing.py")
    assert code == 2
    assert "not checked: augmentation 'shade': kind is required" in out
    assert "give it: augmentation.shade:kind=VALUE, or --set kind=VALUE" in out


def test_a_plugin_by_name_a_distribution_and_a_module(distribution, check):
    distribution("my-dims", {"augmentation.dim": "my_dims.dim"}, {"my_dims.__init__": "", "my_dims.dim": DIM})
    for target in ("augmentation.dim", "my-dims", "My_Dims", "my_dims", "my_dims.dim"):
        code, out, _ = check(target)
        assert (code, out.count("one draw for the whole batch")) == (1, 1), target
        assert "augmentation.dim  [my-dims 1.0]" in out
    code, out, err = check("augmentation.dim", "my-dims", "masking.random")
    assert code == 1
    assert err.splitlines()[-1] == "sslbench: checking masking.random (2 of 2)"
    assert "checked 2 plugins" in out


WAITS = DIM.replace("centre_view(images, size) * light", "centre_view(images, size) * light.amax().item()")


@pytest.mark.pretended
def test_what_a_pretended_gpu_cannot_try_is_named(here, check):
    assert WAITS != DIM
    (here / "waits.py").write_text(WAITS)
    code, out, _ = check("waits.py")
    assert code == 1
    words = "it asks for a number, for which a GPU would have to wait"
    where = "view 0 (global) on a GPU that is pretended"
    assert f"not checked: augmentation.dim: {where}: {words}" in " ".join(out.split())


def test_a_file_that_ends_the_process_ends_no_check(here, check):
    (here / "ends.py").write_text("import os\nos._exit(0)\n")
    code, out, _ = check("ends.py")
    assert code == 1
    assert "ends.py:2: cannot be loaded: EndsTheProcess: os._exit(0) ends the whole process" in " ".join(out.split())


def test_the_folder_of_a_project_is_its_distribution(distribution, here, check):
    project = here / "work"
    project.mkdir()
    for text in ("", "[project]\n", "name = \n"):
        (project / "pyproject.toml").write_text(text)
        code, _, err = check("work")
        assert code == 2
        assert "'work' is a folder whose pyproject.toml names no package; allowed: a plugin (kind.name)" in err
    (project / "pyproject.toml").write_text('[project]\nname = "My.Dims"\n')
    assert "'work': no plugin of 'My.Dims' is installed: pip install -e work, then again" in check("work")[2]
    distribution("my-dims", {"augmentation.dim": "my_dims.dim"}, {"my_dims.__init__": "", "my_dims.dim": DIM})
    code, out, _ = check("work")
    assert (code, out.count("augmentation.dim  [my-dims 1.0]")) == (1, 1)


def test_a_good_plugin_ends_with_0(check):
    code, out, _ = check("masking.random")
    assert code == 0
    assert re.fullmatch(r"checked 1 plugin, 1 set of parameters, \d+ checks: no fault\n", out)


def test_one_that_cannot_be_loaded_is_a_fault_with_its_line(distribution, check):
    distribution("my-broken", {"augmentation.broken": "broken"}, {"broken": "import os\n\nos.nothing_there()\n"})
    code, out, _ = check("my-broken")
    assert code == 1
    assert "broken.py:3: cannot be loaded: AttributeError: module 'os' has no attribute" in " ".join(out.split())


def test_what_is_not_checked_has_its_reason(check):
    code, out, _ = check("method.pretrained:name=vit_tiny_patch16_224", "masking.random")
    assert code == 0
    assert "not checked: method.pretrained: needs a download: " in " ".join(out.split())
    assert "1 not checked, for the reasons above" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name what to check: TARGET..., or --all"),
        (["method.simcrl"], "unknown method 'simcrl'; did you mean 'simclr'?"),
        (["nothing.py"], "'nothing.py': no such file; allowed: a plugin (kind.name), a module"),
        (["sslbensh"], "'sslbensh' is nothing to check; did you mean 'sslbench'?"),
        (["json"], "json: it has no hook that brings a plugin (one of sslbench_augmentations, "),
        (
            ["masking.random", "--set", "ration=1"],
            "--set ration=1: no plugin here has a parameter 'ration'; did you mean",
        ),
        (["masking.random:ratio=2"], "ratio = 2"),
    ],
)
def test_a_wrong_target_ends_with_2(here, check, arguments, words):
    code, out, err = check(*arguments)
    assert code == 2
    assert words in out + err
