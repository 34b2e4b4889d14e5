"""What a shell offers after TAB: from click's side, and in bash, zsh and fish."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pytest

from sslbench.cli.group import COMMANDS
from sslbench.cli.main import call
from sslbench.cli.shells import SHELLS, VARIABLE
from sslbench.hooks.catalogue import KINDS, Catalogue
from sslbench.hooks.remembered import cache_path, installed, is_current, remember, remembered

SIMCLR = {
    "presets": ["cifar", "quick"],
    "trains": True,
    "parameters": {
        "temperature": {"help": "of NT-Xent", "words": []},
        "optimizer": {"help": "update rule", "words": ["adamw", "sgd", "lars"]},
        "lr": {"help": "learning rate", "words": []},
        "lr_end": {"help": "", "words": []},
    },
}
STEPS = {"presets": [], "parameters": {"steps": {"help": "of training", "words": []}}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with results and photographs, and a cache with the parameters of two plugins."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache_path().parent.mkdir(parents=True)
    plugins = {"method.simclr": SIMCLR, "simulator.momentum-dynamics": STEPS}
    cache_path().write_text(json.dumps({"installed": installed(), "plugins": plugins}))
    for results in ("sslbench-results/quick", "before"):
        (tmp_path / "work" / results).mkdir(parents=True)
        (tmp_path / "work" / results / "results.sqlite").touch()
    (tmp_path / "work" / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def offered(capsys, monkeypatch, line):
    """``TYPE VALUE`` of each item that bash would get at the end of a line; the whole words."""
    monkeypatch.setenv(VARIABLE, "zsh_complete")
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert call([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    pairs = zip(lines[::3], lines[1::3], strict=False)
    return [value.replace("\\:", ":") if kind == "plain" else f"{kind} {value}" for kind, value in pairs if kind]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sslbench comp", ["compare", "completion"]),
        ("sslbench --ver", ["--version"]),
        ("sslbench run qu", ["quick", "file qu"]),
        ("sslbench speed me", ["methods", "file me"]),
        ("sslbench suites ma", ["maskings", "mae-speedup", "file ma"]),
        ("sslbench run --ep", ["--epochs"]),
        ("sslbench run -m simc", ["simclr", "file simc"]),
        ("sslbench run --method=simc", ["--method=simclr", "file --method=simc"]),
        ("sslbench run -k bl", ["block"]),
        ("sslbench run -e linear", ["linear-probe"]),
        ("sslbench run -d digi", ["digits", "file digi"]),
        ("sslbench run -a simc", ["simclr"]),
        ("sslbench run -b convnet", ["convnet-small"]),
        ("sslbench run --executor inl", ["inline"]),
        ("sslbench run --observer tens", ["tensorboard"]),
        ("sslbench run -m mae -k grid -b vi", ["vit", "vit-tiny-small-image"]),
        ("sslbench run -m simclr:l", ["part simclr:lr=", "part simclr:lr_end="]),
        ("sslbench run -m simclr:lr=1,o", ["part simclr:lr=1,optimizer="]),
        ("sslbench run -m simclr:lr=1,l", ["part simclr:lr=1,lr_end="]),
        ("sslbench run -m simclr:pre", ["part simclr:preset="]),
        ("sslbench run -m simclr:ep", ["part simclr:epochs="]),
        ("sslbench speed -m simclr:ep", []),
        ("sslbench run -m raw-pixels:ep", []),
        ("sslbench run -m simclr:preset=", ["simclr:preset=cifar", "simclr:preset=quick"]),
        ("sslbench run -m simclr:optimizer=a", ["simclr:optimizer=adamw"]),
        ("sslbench run -m moco:", []),
        ("sslbench run -d imagefolder:root=pho", ["file imagefolder:root=pho"]),
        ("sslbench run augmentations --size ", ["small"]),
        ("sslbench plan --size ", []),
        ("sslbench run --set pre", ["part preset=", "part precision="]),
        ("sslbench run --set precision=f", ["precision=fp32", "precision=fp16"]),
        ("sslbench run --format c", ["csv"]),
        ("sslbench run --device c", ["cpu", "cuda"]),
        ("sslbench list ma", ["masking"]),
        ("sslbench show method mo", ["moco", "moco-v3"]),
        ("sslbench show nothing ", []),
        ("sslbench simulate mom", ["momentum-dynamics"]),
        ("sslbench simulate momentum-dynamics --set ", ["part steps="]),
        ("sslbench results ", ["sslbench-results/quick", "before"]),
        ("sslbench compare b", ["before"]),
        ("sslbench compare before s", ["sslbench-results/quick"]),
        ("sslbench compare before else", ["file else"]),
        ("sslbench export before --where meth", ["part method="]),
        ("sslbench embed dig", ["digits", "file dig"]),
        ("sslbench embed digits -m raw", ["raw-pixels", "file raw"]),
        ("sslbench completion f", ["fish"]),
        ("sslbench nothing x", []),
    ],
)
def test_what_is_offered(folder, capsys, monkeypatch, line, expected):
    assert offered(capsys, monkeypatch, line) == expected


def test_every_command_is_offered(folder, capsys, monkeypatch):
    assert sorted(offered(capsys, monkeypatch, "sslbench ")) == sorted(COMMANDS)
    assert offered(capsys, monkeypatch, "sslbench show ") == list(KINDS)
    assert offered(capsys, monkeypatch, "sslbench show evaluator ") == Catalogue.installed().names("evaluator")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sslbench run -m simclr:t", "part,temperature="),
        ("sslbench run -m simclr:lr=1,o", "part,1,optimizer="),
        ("sslbench run --method=simclr:t", "part,temperature="),
        ("A=1 sslbench run --method=simc", "plain,simclr"),
        ("sslbench run -m simclr:t --epochs 3", None),
    ],
)
def test_bash_gets_what_stands_after_the_last_colon_or_equals_sign(folder, capsys, monkeypatch, line, words):
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len("sslbench run -m simclr:t") if words is None else len(line)))
    assert call([]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (words or "part,temperature=")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"plugins": 3}', '{"plugins": {"method.simclr": {}}}'])
def test_a_damaged_cache_offers_files(folder, capsys, monkeypatch, damage):
    cache_path().write_text(damage)
    assert not is_current()
    assert offered(capsys, monkeypatch, "sslbench run -m simclr:l") in ([], ["file simclr:l"])


def test_no_plugin_and_no_torch_is_imported(folder):
    line = "sslbench run -m simclr:"
    environment = {**os.environ, VARIABLE: "bash_complete", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    code = "import sys\nfrom sslbench.cli.main import call\ncall([])\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    *lines, modules = done.stdout.splitlines()
    assert "part,temperature=" in lines
    heavy = {"torch", "numpy", "pandas", "pydantic", "rich", "pluggy", "sslbench_plugins"}
    assert heavy.isdisjoint(modules.split())


def test_the_script_is_printed_and_plugins_are_remembered_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remember()
    assert is_current()
    assert remembered()["method.simclr"]["parameters"]["optimizer"]["words"] == ["adamw", "sgd", "lars"]
    assert "dinov2-vits14" in remembered()["method.pretrained"]["presets"]
    for shell in SHELLS:
        assert call(["completion", shell]) == 0
        out, err = capsys.readouterr()
        assert "_sslbench_completion" in out
        assert err == ""
        monkeypatch.setenv(VARIABLE, f"{shell}_source")
        assert call([]) == 0
        assert capsys.readouterr().out == out
        monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert call(["completion"]) == 0
    assert capsys.readouterr().out == out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert call(["completion"]) == 2
    expected = "sslbench: error: name the shell: sslbench completion SHELL (allowed: bash, zsh, fish)\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setenv(VARIABLE, "nothing_complete")
    assert call([]) == 1


@pytest.fixture
def shell_environment(folder, tmp_path):
    """``sslbench`` on the path, as an installation has it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "sslbench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sslbench "$@"\n')
    program.chmod(0o755)
    kept = ("PYTHONPATH", "XDG_CACHE_HOME", "LANG")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environment, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}


TYPED = (
    (b"sslbench comple\t", "sslbench completion"),
    (b"sslbench run --epo\t3 -m simc\t-b convn\t", "sslbench run --epochs 3 -m simclr -b convnet-small"),
    (
        b"sslbench run -m simclr:tem\t0.2,opt\tsg\t--compi\t",
        "sslbench run -m simclr:temperature=0.2,optimizer=sgd --compile",
    ),
    (b"sslbench run -d imagefolder:root=pho\t", "sslbench run -d imagefolder:root=photos"),
    (b"sslbench results sslb\t--pai\t", "sslbench results sslbench-results/quick --pairs"),
)


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed: apt-get install {shell}")


@pytest.mark.slow
@pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in ("bash", "zsh")])
def test_tab_completes_in_a_terminal(folder, shell_environment, shell):
    start = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(sslbench completion bash)"'),
        "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(sslbench completion zsh)"'),
    }
    arguments, setup = start[shell]
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(shutil.which(shell) or shell, arguments, shell_environment)
    try:
        ioctl(terminal, TIOCSWINSZ, pack("HHHH", 50, 200, 0, 0))
        os.write(terminal, f"PS1='> '; bindkey -e 2>/dev/null; {setup}; echo RE''ADY\n".encode())
        read_until(terminal, r"READY\r")
        for typed, expected in TYPED:
            # Ctrl-A, and the line is printed in place of being run.
            os.write(terminal, typed + b"\x01echo 'LI''NE' \n")
            found = read_until(terminal, r"\nLINE(.*?)\r")
            assert found.group(1).rstrip(" /") == f" {expected}"
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def read_until(terminal, pattern, seconds=60):
    """The match of a pattern in what a terminal shows. Fails where it does not come."""
    text, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(terminal, 65536).decode(errors="replace"))
            if found := re.search(pattern, text):
                return found
    raise AssertionError(f"{pattern} did not come: {text!r}")


@needs("fish")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sslbench comple", ["completion"]),
        ("sslbench run -m simc", ["simclr"]),
        ("sslbench run --method=simc", ["--method=simclr"]),
        ("sslbench run -m simclr:lr=1,tem", ["simclr:lr=1,temperature="]),
        ("sslbench run -m simclr:optimizer=s", ["simclr:optimizer=sgd"]),
        ("sslbench run -d imagefolder:root=pho", ["imagefolder:root=photos/"]),
        ("sslbench results sslbench-results/q", ["sslbench-results/quick"]),
    ],
)
def test_fish_completes(folder, shell_environment, line, expected):
    script = f"sslbench completion fish | source; complete -C '{line}'"
    command = ["fish", "--no-config", "-c", script]
    done = subprocess.run(command, env=shell_environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    offers = [offer.split("\t")[0] for offer in done.stdout.splitlines()]
    assert [offer for offer in offers if Path(offer).name][: len(expected)] == expected
