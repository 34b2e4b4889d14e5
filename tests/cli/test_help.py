"""What ``--help`` shows: commands in groups, options in sections, and examples that work."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter

import click
import numpy as np
import pytest
from PIL import Image

from sslbench.cli.command import Command
from sslbench.cli.group import COMMANDS, GROUPS, cli, imported
from sslbench.cli.main import call

HEAVY = {"run": "plan"}
"""command -> what takes its options and trains nothing"""
LIGHT = ("plan", "look", "suites", "list", "show", "results", "export", "compare", "merge")
"""commands whose examples are run here"""
EXAMPLES = [(name, line) for name in COMMANDS for line in imported(name).examples]


def words_of(line):
    """The commands of a line of a shell, each as its words, without ``sslbench``, variables and redirections."""
    words = shlex.split(re.sub(r'^eval "\$\((.*)\)"', r"\1", line), comments=True)
    parts = " ".join(map(shlex.quote, words)).replace("'&&'", "&&").split(" && ")
    for part in parts:
        words = [word for word in shlex.split(part) if "=" not in word or not word.split("=")[0].isupper()]
        assert words[0] == "sslbench"
        yield words[1 : words.index(">")] if ">" in words else words[1:]


def test_every_command_is_in_one_group():
    grouped = Counter(name for names in GROUPS.values() for name in names if name in COMMANDS)
    assert grouped == Counter(list(COMMANDS))
    assert cli.list_commands(click.Context(cli)) == list(grouped)


def test_help_shows_the_groups_each_command_on_one_line(capsys):
    assert call(["--help"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    titles = [f"{title}:" for title in GROUPS]
    assert [line for line in lines if line in titles] == titles
    assert all(any(line.split() == [name, *COMMANDS[name].split()] for line in lines) for name in COMMANDS)


def test_no_arguments_are_wrong_usage_to_which_the_help_is_the_answer(capsys):
    assert call([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    call(["--help"])
    assert err == capsys.readouterr().out


def test_the_precision_is_said_to_be_that_of_features_as_well(capsys):
    """By default it is another one on a GPU than on a CPU, and so are the figures of evaluators."""
    assert call(["run", "--help"]) == 0
    assert "Precision of the training step and of evaluated features." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns_and_ends_with_examples(capsys, name):
    assert call([name, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    examples = imported(name).examples
    assert 2 <= len(examples) <= 4
    assert lines[-len(examples) - 1 :] == ["Examples:", *(f"  {line}" for line in examples)]


FRAGMENTS = r"^(Of|For|And|With|As) "


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_limits_in_words_and_each_option_by_itself(capsys, name):
    assert call([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert not re.search(r"RANGE|FLOAT|INTEGER|[<>]=|``", out)
    for option in imported(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert not re.search(FRAGMENTS, option.help), option.help
            assert re.match(r"[A-Z]", option.help), option.help
            assert re.search(r"[.\]]$", option.help), option.help


@pytest.mark.parametrize("name", ["run", "plan", "speed"])
def test_many_options_are_in_sections(capsys, name):
    command = imported(name)
    assert isinstance(command, Command)
    given = [param for names in command.sections.values() for param in names]
    options = [param.name for param in command.params if isinstance(param, click.Option)]
    assert max(Counter(given).values()) == 1
    assert len(options) - len(given) <= 4  # the others: format, quiet and the like
    call([name, "--help"])
    out = capsys.readouterr().out
    assert all(f"\n{title}:\n" in out for title in [*command.sections, "Options"])


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=lambda value: value if " " in value else "")
def test_every_example_is_parsed(name, line):
    assert any(words[0] == name for words in words_of(line)) or name in ("merge", "export")
    for command, *words in words_of(line):
        with imported(command).make_context(command, words):
            pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files and folders that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    words = "run -m simclr -b convnet-small:width=4 -e knn --epochs 1 --set train_images=64 --executor inline".split()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert call([*words, "--out", "sslbench-results/quick"]) == 0
    for copy in ("before", "after", "fp32", "bf16", "here", "there"):
        shutil.copytree(folder / "sslbench-results" / "quick", folder / copy)
    return folder


@pytest.mark.parametrize(("name", "line"), [example for example in EXAMPLES if example[0] in (*LIGHT, *HEAVY)])
def test_examples_work(folder, monkeypatch, capsys, name, line):
    monkeypatch.chdir(folder)
    for command, *words in words_of(line):
        command = HEAVY.get(command, command)
        if command not in LIGHT or "full.toml" in words:
            continue
        code = call([command, *words])
        out, err = capsys.readouterr()
        assert code in (0, 1) if command == "compare" else code == 0, err
        assert out
        if "mine.toml" in line and command == "suites":
            (folder / "mine.toml").write_text(out)
