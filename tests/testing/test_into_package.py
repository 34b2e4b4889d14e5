"""``sslbench new --into``: one more plugin in a package that is there; its pyproject.toml keeps all that it has."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from sslbench.cli.main import call
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.testing.conformance import problems
from sslbench.testing.into_package import add_to_package

ENTRY = '"method.mine" = "theirs.mine"'
PROJECT = '[project]\nname = "theirs"\nversion = "1"\ndependencies = ["sslbench>=0.1"]\n'
POINTS = '[project.entry-points.sslbench]\n"masking.old" = "theirs.old"  # the first\n'


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package ``theirs`` with the given pyproject.toml, in the working folder."""
    monkeypatch.chdir(tmp_path)

    def make(text, *folders):
        for folder in folders or ("src/theirs",):
            Path("theirs", folder).mkdir(parents=True)
            Path("theirs", folder, "__init__.py").touch()
        Path("theirs/pyproject.toml").write_bytes(text.encode())
        return Path("theirs")

    return make


def files_below(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{PROJECT}\n{POINTS}", f"{PROJECT}\n{POINTS}{ENTRY}\n"),
        (
            f"{PROJECT}\n{POINTS}\n# about x\n[tool.x]\ny = 1\n",
            f"{PROJECT}\n{POINTS}{ENTRY}\n\n# about x\n[tool.x]\ny = 1\n",
        ),
        (
            f"{POINTS}[build-system]\nrequires = []\n{PROJECT}",
            f"{POINTS}{ENTRY}\n[build-system]\nrequires = []\n{PROJECT}",
        ),
        (f"{PROJECT}{POINTS}".rstrip("\n"), f"{PROJECT}{POINTS}{ENTRY}\n"),
        (f"{PROJECT}{POINTS}".replace("\n", "\r\n"), f"{PROJECT}{POINTS}{ENTRY}\n".replace("\n", "\r\n")),
        (PROJECT, f"{PROJECT}\n[project.entry-points.sslbench]\n{ENTRY}\n"),
        (f"{PROJECT}[project.entry-points.sslbench]\n", f"{PROJECT}[project.entry-points.sslbench]\n{ENTRY}\n"),
        (
            f"{PROJECT}[ project . \"entry-points\" . 'sslbench' ] # ours\n# none yet\n",
            f"{PROJECT}[ project . \"entry-points\" . 'sslbench' ] # ours\n{ENTRY}\n# none yet\n",
        ),
        (
            f'{PROJECT}[project.entry-points.pytest11]\na = "b"\n',
            f'{PROJECT}[project.entry-points.pytest11]\na = "b"\n\n[project.entry-points.sslbench]\n{ENTRY}\n',
        ),
        (
            f"# [project.entry-points.sslbench]\n{PROJECT}{POINTS}",
            f"# [project.entry-points.sslbench]\n{PROJECT}{POINTS}{ENTRY}\n",
        ),
    ],
)
def test_one_line_is_added_and_all_else_is_as_it_was(package, before, after):
    folder = package(before)
    written = add_to_package("method", "mine", folder)
    assert (folder / "pyproject.toml").read_bytes().decode() == after
    assert set(files_below(folder)) == {
        "pyproject.toml",
        "src/theirs/__init__.py",
        "src/theirs/mine.py",
        "suite-mine.toml",
        "tests/test_mine.py",
    }
    assert "from theirs import mine as plugin" in (folder / "tests/test_mine.py").read_text()
    assert written.commands == (
        "pip install -e theirs",
        "sslbench check method.mine",
        "pytest theirs/tests/test_mine.py",
    )
    assert written.run == "sslbench run theirs/suite-mine.toml"
    assert written.notes == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f'{PROJECT}[project.entry-points]\nsslbench = {{"masking.old" = "theirs.old"}}\n',
            f"sslbench], then again: {ENTRY}",
        ),
        (
            f'{PROJECT}entry-points.sslbench."masking.old" = "theirs.old"\n',
            "cannot be changed safely; put this into its",
        ),
        (f"{PROJECT}x = '''\n{POINTS}'''\n", "cannot be changed safely"),
        (f'{PROJECT}dynamic = ["entry-points"]\n', "its entry points are dynamic, made by something else"),
        ('[tool.poetry]\nname = "theirs"\n', "it has no table [project], in which entry points stand"),
        ("[project\n", "cannot be read: "),
        (f'{PROJECT}[project.entry-points.sslbench]\n"method.mine" = "x"\n', "'method.mine' is there already"),
    ],
)
def test_what_cannot_be_changed_safely_is_left_alone(package, text, words):
    folder = package(text)
    before = files_below(folder)
    with pytest.raises(UserError) as caught:
        add_to_package("method", "mine", folder)
    assert words in str(caught.value)
    assert str(folder / "pyproject.toml") in str(caught.value)
    assert files_below(folder) == before


@pytest.mark.parametrize(
    ("folders", "given", "where"),
    [
        (("theirs",), "theirs", "theirs"),
        (("src/theirs", "tests"), "theirs", "src/theirs"),
        (("src/theirs", "src/other"), "theirs/src/other", "src/other"),
        (("src/theirs", "src/theirs/methods"), "theirs/src/theirs/methods", "src/theirs/methods"),
    ],
)
def test_the_module_goes_beside_the_others(package, folders, given, where):
    folder = package(PROJECT, *folders)
    add_to_package("method", "mine", Path(given))
    assert (folder / where / "mine.py").is_file()
    module = f"{where.removeprefix('src/').replace('/', '.')}.mine"
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["sslbench"]
    assert points == {"method.mine": module}


def test_of_several_packages_the_one_with_plugins_is_meant(package):
    folder = package(PROJECT + POINTS, "src/theirs", "src/other")
    add_to_package("method", "mine", folder)
    assert (folder / "src/theirs/mine.py").is_file()


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("src/theirs", "src/other"), r"has several packages \(src/other, src/theirs\); give one of these folders"),
        (("tests",), r"has no package \(a folder with __init__.py\) to add a module to"),
    ],
)
def test_a_package_that_is_not_clear_is_asked_for(package, folders, words):
    folder = package(PROJECT, *folders)
    with pytest.raises(UserError, match=words):
        add_to_package("method", "mine", folder)


@pytest.mark.parametrize("path", ["src/theirs/mine.py", "tests/test_mine.py", "suite-mine.toml"])
def test_what_is_there_is_named_and_nothing_is_added(package, path):
    folder = package(PROJECT)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text("theirs")
    before = files_below(folder)
    with pytest.raises(UserError, match=f"{path} is there already; nothing is overwritten"):
        add_to_package("method", "mine", folder)
    assert files_below(folder) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_made_remains(package, monkeypatch, error):
    folder = package(PROJECT)
    before = files_below(folder)

    def fail(*_):
        raise error

    monkeypatch.setattr(shutil, "copymode", fail)
    with pytest.raises((UserError, KeyboardInterrupt)) as caught:
        add_to_package("method", "mine", folder)
    if isinstance(error, OSError):
        assert str(caught.value) == "theirs: nothing was added: No space left on device"
    assert files_below(folder) == before
    assert not (folder / "tests").exists()


def test_a_file_in_the_place_of_a_folder_is_named(package):
    folder = package(PROJECT)
    (folder / "tests").write_text("")
    with pytest.raises(UserError, match=r"theirs: nothing was added: theirs/tests/test_mine.py: Not a directory"):
        add_to_package("method", "mine", folder)
    assert not (folder / "src/theirs/mine.py").exists()


def test_a_package_that_does_not_require_sslbench_is_said_so(package, capsys):
    package('[project]\nname = "theirs"\noptional-dependencies.test = ["pytest"]\ndependencies = ["sslbench-extras"]\n')
    assert call(["new", "observer", "mine", "--into", "theirs"]) == 0
    out = capsys.readouterr().out
    assert "\ntheirs/pyproject.toml does not require sslbench: add it to its dependencies\n" in out
    assert '\n  pip install -e "theirs[test]"\n' in out


def test_a_second_plugin_of_a_new_package_is_found_beside_the_first(package, distribution, monkeypatch, request):
    request.addfinalizer(default_registry.cache_clear)
    monkeypatch.chdir(package(PROJECT).parent)
    assert call(["new", "masking", "ours"]) == 0
    assert call(["new", "evaluator", "few-shot", "--into", "ours"]) == 0
    points = tomllib.loads(Path("ours/pyproject.toml").read_text())["project"]["entry-points"]["sslbench"]
    assert list(points) == ["masking.ours", "evaluator.few-shot"]
    distribution("sslbench-ours", points, {})
    monkeypatch.syspath_prepend(str(Path("ours/src").absolute()))
    registry = Registry()
    assert [problems(registry.get(*point.split("."))) for point in points] == [[], []]
