"""What is written where, and what happens when it cannot be written."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sslbench.cli.group import COMMANDS
from sslbench.cli.main import call
from sslbench.cli.streams import StandardError, own_streams, say, show
from sslbench.report.screen import width_of
from sslbench.store.record import MetricValue, Record
from sslbench.store.results import ResultsStore

CAT = "猫"
LATIN = "caf\udce9.png"
"""a Latin-1 file name as Python has it where names are UTF-8"""


class Broken(io.RawIOBase):
    """A file that nothing can be written to."""

    def __init__(self, number):
        self.number = number

    def writable(self):
        return True

    def write(self, data):
        if self.number is None:
            return len(data)
        raise OSError(self.number, os.strerror(self.number))


KEPT = []


def stream_to(raw, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding)
    KEPT.append((stream, raw))
    return stream


@pytest.fixture(autouse=True)
def mended(monkeypatch):
    """What a stream still holds is written when it is thrown away."""
    yield
    for _, raw in KEPT:
        raw.number = None
    KEPT.clear()


def records(*methods):
    return [
        Record(f"c{i}", "done", name, i, "knn", metrics={"top1": MetricValue(0.5)}) for i, name in enumerate(methods)
    ]


@pytest.fixture
def folder(tmp_path):
    """A results folder with the methods that are named."""

    def make(*methods):
        with ResultsStore.open_for_writing(tmp_path / "r") as store:
            for record in records(*methods):
                store.put(record, suite="s", description="d", inputs={})
        return str(tmp_path / "r")

    return make


def printed(monkeypatch, encoding, *arguments, terminal=False):
    """Exit code and the bytes on a stdout of that encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", stream)
    return call(list(arguments)), raw.getvalue()


def on_the_system(command):
    """Exit code and stderr of a shell command in which $S is the program; a pipe gives the code of its first part."""
    environment = {**os.environ, "S": f"{sys.executable} -m sslbench"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("set -o pipefail; $S list | head -0", 141, ""),
        (
            "$S list > /dev/full",
            3,
            "sslbench: error: the result could not be written to stdout: No space left on device\n",
        ),
        ("$S list >&-", 3, "sslbench: error: the result could not be written: stdout is closed\n"),
        ("$S list 2>&- > /dev/null", 0, ""),
        ("$S list metods 2> /dev/full", 2, ""),
        ("$S list metods 2>&-", 2, ""),
        ("$S list > /dev/full 2>&1", 3, ""),
        ("$S list 0<&- >&- 2>&-", 3, ""),
    ],
)
def test_streams_that_are_closed_or_full_end_in_one_line_and_a_code(command, code, words):
    assert on_the_system(command) == (code, words)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.EPIPE, 141, ""),
        (errno.ENOSPC, 3, "sslbench: error: the result could not be written to stdout: No space left on device\n"),
    ],
)
def test_every_command_ends_alike(monkeypatch, capsys, name, number, code, words):
    monkeypatch.setattr(sys, "stdout", stream_to(Broken(number)))
    assert call([name, "--help"]) == code
    assert capsys.readouterr().err == words


def test_results_are_stored_and_named_where_they_cannot_be_printed(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    out = sys.stdout
    monkeypatch.setattr(sys, "stdout", stream_to(Broken(errno.ENOSPC)))
    assert call(["run", "-m", "raw-pixels", "-e", "knn"]) == 3
    *_, stored, error = capsys.readouterr().err.splitlines()
    assert stored == "sslbench: 1 done; 1 run now; results: sslbench-results/quick"
    assert error == "sslbench: error: the result could not be written to stdout: No space left on device"
    monkeypatch.setattr(sys, "stdout", out)
    assert call(["results", "sslbench-results/quick", "--format", "json"]) == 0
    assert [record["status"] for record in json.loads(capsys.readouterr().out)["records"]] == ["done"]


def test_a_reader_of_progress_that_goes_away_stops_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", stream_to(Broken(errno.EPIPE)))
    assert call(["run", "-m", "raw-pixels", "-e", "knn", "--format", "json"]) == 0
    assert [record["status"] for record in json.loads(capsys.readouterr().out)["records"]] == ["done"]


def test_a_stream_that_breaks_is_given_up():
    quiet = StandardError(stream_to(Broken(errno.EIO)))
    assert quiet.write("x") == 1
    quiet.flush()
    assert quiet.stream is None
    assert not quiet.isatty()
    assert quiet.write("more") == 4


@pytest.mark.parametrize(
    ("encoding", "cat", "plus_minus"),
    [("ascii", r"\u732b", "+-"), ("cp1252", r"\u732b", "±"), ("latin-1", r"\u732b", "±"), ("utf-8", CAT, "±")],
)
def test_what_the_encoding_lacks_is_escaped_and_the_table_stays_aligned(monkeypatch, folder, encoding, cat, plus_minus):
    code, data = printed(monkeypatch, encoding, "results", folder(CAT, "plain"))
    lines = data.decode(encoding).splitlines()
    assert code == 0
    *_, row = [line for line in lines if line.startswith(cat)]
    *_, other = [line for line in lines if line.startswith("plain ")]
    wide = 1 if encoding == "utf-8" else 0  # a character of two columns
    assert len(row) + wide == len(other)
    assert any(line.startswith(f"{plus_minus}: ") for line in lines) is False or plus_minus in data.decode(encoding)


@pytest.mark.parametrize("format_", ["csv", "json", "markdown"])
def test_formats_for_programs_are_utf_8_without_a_mark_whatever_the_encoding_is(monkeypatch, folder, format_):
    _, data = printed(monkeypatch, "cp1252", "results", folder(CAT), "--format", format_)
    text = data.decode("utf-8")
    assert not text.startswith("\ufeff")
    assert CAT in (text.encode().decode("unicode_escape") if format_ == "json" else text)


def test_in_the_locale_c_nothing_fails(folder):
    path = folder(CAT)
    for variables in ("LC_ALL=C", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", "PYTHONIOENCODING=cp1252"):
        assert on_the_system(f"{variables} $S results {path} > /dev/null") == (0, "")


def test_control_characters_are_shown_and_not_sent(monkeypatch, folder):
    _, data = printed(monkeypatch, "utf-8", "results", folder("a\x1b[2Jb", "c\u202ed", "e\rf", "g\nh", LATIN))
    text = data.decode()
    for name in (r"a\x1b[2Jb", r"c\u202ed", r"e\rf", r"g\nh", r"caf\xe9.png"):
        assert any(line.startswith(f"{name} ") for line in text.splitlines()), name
    assert all(character.isprintable() for line in text.split("\n") for character in line)


def test_a_terminal_gets_no_control_characters_in_csv_either(monkeypatch, folder):
    path = folder("a\x1b[2Jb")
    assert b"\x1b" not in printed(monkeypatch, "utf-8", "results", path, "--format", "csv", terminal=True)[1]
    assert b"a\x1b[2Jb" in printed(monkeypatch, "utf-8", "results", path, "--format", "csv")[1]


def test_the_answer_is_bold_on_a_terminal_with_colours_and_nowhere_else(monkeypatch, folder):
    path = folder("simclr", "byol")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    bold, *rest = printed(monkeypatch, "utf-8", "results", path, terminal=True)[1].decode().split("\x1b[0m\n  ")
    assert all(line.startswith("\x1b[1m") and width_of(line) <= 72 for line in bold.split("\n"))
    sentence = " ".join(bold.replace("\x1b[1m", "").replace("\x1b[0m", "").split())
    assert sentence == "No test tells the 2 methods apart by top1; simclr comes first: 50.0%, measured with 1 seed."
    assert len(rest) == 1
    assert "\x1b" not in rest[0]
    plain = [printed(monkeypatch, "utf-8", "results", path, *more)[1] for more in ((), ("--format", "markdown"))]
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as context:
            context.setenv(variable, value)
            plain.append(printed(monkeypatch, "utf-8", "results", path, terminal=True)[1])
    assert not any(b"\x1b" in data for data in plain)


def test_json_is_exact(monkeypatch, folder):
    names = ["a\x1b[2J\n|b", "=1+1", CAT, LATIN]
    _, data = printed(monkeypatch, "ascii", "results", folder(*names), "--format", "json")
    assert [record["method"] for record in json.loads(data)["records"]] == names


PLUGIN = """
    import sys
    print("printed at import")
    from sslbench import MethodSpec, hookimpl

    @hookimpl
    def sslbench_methods():
        print("printed by the hook")
        sys.stdout.write("written\\n")
        return [MethodSpec(name="loud", build=None, summary="s")]
"""


@pytest.mark.parametrize("arguments", [["plugins"], ["show", "method", "loud"], ["list", "method"]])
def test_what_plugins_print_goes_to_stderr(distribution, capsys, arguments):
    distribution("loud-plugins", {"loud": "loud_module"}, {"loud_module": PLUGIN})
    from sslbench.hooks import registry

    registry.default_registry.cache_clear()
    try:
        assert call([*arguments, "--format", "json"]) == 0
    finally:
        registry.default_registry.cache_clear()
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == 2
    for words in ("printed at import\n", "printed by the hook\n", "written\n"):
        assert err.count(words) == 1


def test_a_line_of_stderr_is_one_line_of_printable_characters(capsys):
    say("two\nlines \x1b[31mred \u2066x")
    assert capsys.readouterr().err == "sslbench: two\\nlines \\x1b[31mred \\u2066x\n"


def test_what_is_shown_twice_is_two_pieces_and_others_print_elsewhere(capsys):
    with own_streams():
        show("one")
        show("two", "json")
    assert capsys.readouterr().out == "one\ntwo\n"


def test_csv_of_results_can_be_read_back(monkeypatch, folder):
    _, data = printed(monkeypatch, "cp1252", "results", folder(f"{CAT}, a", "b"), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [row["method"] for row in rows] == [f"{CAT}, a", "b"]


def test_every_command_prints_through_the_border_alone():
    """What goes around it is on stderr, or ends in a traceback where nobody reads."""
    import sslbench.cli

    for path in Path(sslbench.cli.__file__).parent.glob("*.py"):
        assert not re.search(r"click\.(secho|echo)|(?<![\w.])print\(", path.read_text()), path.name


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["plan"],
        ["plan", "-m", "mae", "-k", "random", "-b", "convnet-small"],
        ["plugins"],
        ["show", "method", "pretrained"],
        ["show", "dataset", "parquet"],
        ["suites"],
        *([name, "--help"] for name in COMMANDS),
    ],
    ids=" ".join,
)
def test_a_terminal_of_80_columns_is_kept_to(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert call(arguments) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if width_of(line) > 80] == []


@pytest.mark.parametrize("section", [[], ["--statistics"], ["--pairs"], ["--published"]])
def test_results_keep_to_a_terminal_and_name_what_they_leave_out(monkeypatch, capsys, folder, section):
    path = folder("method " + 5 * "with-a-long-name-", CAT * 30, "simclr")
    monkeypatch.setenv("COLUMNS", "44")
    assert call(["results", path, *section]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if width_of(line) > 44] == []
    if not section:
        assert "comes first" not in out.split("\n\n")[1]


@pytest.mark.parametrize("columns", ["0", "-5", "wide", "1", "7"])
def test_widths_that_are_none_are_no_mistake(monkeypatch, capsys, folder, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert call(["results", folder("simclr")]) == 0
    assert "simclr" in capsys.readouterr().out


def test_a_file_gets_every_column(capsys, folder):
    assert call(["results", folder("simclr")]) == 0
    out = capsys.readouterr().out
    assert "not shown" not in out
    assert call(["results", folder("simclr"), "--details"]) == 0
    assert "MFLOP/img: 10^6 floating-point operations" in capsys.readouterr().out


def test_what_compiled_code_and_children_write_to_descriptor_1_goes_to_stderr(sslbench, distribution):
    noise = "import os, subprocess; os.write(1, b'raw\\n'); subprocess.run(['echo', 'child'])\n"
    folder = distribution("loud", {"masking.loud": "loud_plugin"}, {"loud_plugin": f"{noise}1 / 0\n"})
    done = sslbench("plugins", "--format", "json", path=folder, SSLBENCH_PLUGINS="loud")
    assert [plugin["status"] for plugin in json.loads(done.stdout)["plugins"]] == ["failed"]
    assert done.stderr == "raw\nchild\n"
