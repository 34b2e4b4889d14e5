"""``sslbench new``: what is written, what is refused, and that nothing is half made."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from sslbench.cli.main import call
from sslbench.hooks.catalogue import KINDS

NEXT = re.compile(r"^next:\n((?:  .*\n)+)", flags=re.MULTILINE)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def new(capsys):
    """Exit code, stdout and stderr of ``sslbench new``."""

    def run(*arguments):
        code = call(["new", *arguments])
        return code, *capsys.readouterr()

    return run


def files_below(folder):
    """Path -> bytes of every file, also hidden ones."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_made_and_the_next_commands_are_printed(new, kind):
    code, out, err = new(kind, "my-own")
    assert (code, err) == (0, "")
    suite = {"suite.toml"} if kind != "simulator" else set()
    files = "pyproject.toml README.md .github/workflows/sslbench.yml src/sslbench_my_own/__init__.py"
    files += " src/sslbench_my_own/py.typed src/sslbench_my_own/my_own.py tests/test_my_own.py"
    assert set(files_below("my-own")) == set(files.split()) | suite
    assert all(f"\n{file} " in out for file in files.split() if Path(file).name not in ("__init__.py", "py.typed"))
    commands = ['pip install -e "my-own[test]"', f"sslbench check {kind}.my-own", "pytest my-own"]
    assert NEXT.search(out)[1].split("\n  ") == [f"  {commands[0]}", commands[1], f"{commands[2]}\n"]
    project = tomllib.loads(Path("my-own/pyproject.toml").read_text())["project"]
    assert project["name"] == "sslbench-my-own"
    assert project["entry-points"] == {"sslbench": {f"{kind}.my-own": "sslbench_my_own.my_own"}}
    assert project["dependencies"] == [f"sslbench>={version('sslbench')}"]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("method", "sslbench run mine/suite.toml"),
        ("executor", "sslbench run mine/suite.toml --executor mine"),
        ("simulator", "sslbench simulate mine"),
    ],
)
def test_the_last_line_puts_it_to_use(new, kind, line):
    out = new(kind, "mine")[1]
    assert out.endswith(f"and then:\n  {line}\n")
    assert line.replace("mine/", "") in Path("mine/README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("metod", "mine"), "unknown kind 'metod'; did you mean 'method'? (kinds: augmentation, "),
        (("method", "simclr"), "method 'simclr' is brought by sslbench "),
        (("method", "there/mine"), "NAME 'there/mine' is a path; give a name alone; did you mean 'mine'?"),
        (("method", "../MyOwn"), "NAME '../MyOwn' is a path; give a name alone; did you mean 'my-own'?"),
        (("method", "my_own"), "NAME 'my_own': a plugin is named by lower-case letters, digits, hyphens and dots"),
        (("method", "MyOwn"), "; did you mean 'my-own'?"),
        (("method", "mine-"), "; did you mean 'mine'?"),
        (("method", "größe"), "with a letter or digit at both ends\n"),
        (("method", "nul"), "NAME 'nul' is no name that a folder can have; a name has 1 to 100 characters"),
        (("method", "a" * 101), "is no name that a folder can have"),
        (("method", ".."), "is no name that a folder can have"),
        (("method", "", "--into", "x"), "NAME is given an empty text"),
        (
            ("method", "mine", "--into", "nowhere"),
            "--into 'nowhere': is no folder; give that of a package, with",
        ),
        (("method", "mine", "--into", "."), "--into '.': it has no pyproject.toml; give the folder of a package"),
        (("method",), "Missing argument 'NAME'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(new, tmp_path, arguments, words):
    code, out, err = new(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_named_and_stays(new, tmp_path, make):
    make(tmp_path / "mine")
    code, out, err = new("method", "mine")
    assert (code, out) == (2, "")
    assert "mine is there already, and nothing is overwritten: choose another name, or add" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_package_that_is_installed_is_named(new, distribution):
    distribution("sslbench-mine", {"masking.other": "other"}, {"other": ""}, "0.7")
    code, _, err = new("method", "mine")
    assert code == 2
    assert "the package would be 'sslbench-mine', of which 0.7 is installed already" in err
    assert not Path("mine").exists()


def test_a_folder_that_cannot_be_written_is_one_line(new, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert new("method", "mine") == (2, "", "sslbench: error: 'mine' cannot be made: Permission denied\n")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_made_remains(new, tmp_path, monkeypatch, error):
    write = Path.write_text

    def fail(path, *arguments, **more):
        if path.name == "README.md":
            raise error
        return write(path, *arguments, **more)

    monkeypatch.setattr(Path, "write_text", fail)
    code, out, err = new("method", "mine")
    assert out == ""
    if isinstance(error, OSError):
        assert (code, err) == (2, "sslbench: error: 'mine' cannot be made: No space left on device\n")
    else:
        assert code == 130
    assert list(tmp_path.iterdir()) == []


def test_one_that_another_process_has_just_made_stays(new, tmp_path, monkeypatch):
    rename = Path.rename

    def late(path, target):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "theirs").touch()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    code, _, err = new("method", "mine")
    assert code == 2
    assert "'mine' cannot be made: " in err
    assert list(files_below(tmp_path)) == ["mine/theirs"]
