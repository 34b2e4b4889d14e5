from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from sslbench.store import provenance as module
from sslbench.store.provenance import machine_facts, output_of, physical_cores, processor, provenance

TWO_SOCKETS = """\
processor\t: 0
model name\t: Some CPU @ 2.00GHz
physical id\t: 0
core id\t\t: 0

processor\t: 1
model name\t: Some CPU @ 2.00GHz
physical id\t: 0
core id\t\t: 0

processor\t: 2
model name\t: Some CPU @ 2.00GHz
physical id\t: 1
core id\t\t: 0

processor\t: 3
model name\t: Some CPU @ 2.00GHz
physical id\t: 1
core id\t\t: 1
"""


@pytest.fixture
def no_memory():
    """Each test asks the machine afresh."""
    for function in (module.cpuinfo, module.git_facts, module.lasting_facts):
        function.cache_clear()
    yield
    for function in (module.cpuinfo, module.git_facts, module.lasting_facts):
        function.cache_clear()


@pytest.fixture
def repository(tmp_path, monkeypatch, no_memory):
    """A git repository with one commit, as the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*arguments):
        words = ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    return git


def test_the_facts_are_those_of_this_machine(no_memory):
    facts = machine_facts()
    assert facts["python"] == platform.python_version()
    assert facts["platform"] == platform.platform()
    assert facts["cores"] == len(module.usable_cores()) >= 1
    assert facts["physical_cores"] is None or 1 <= facts["physical_cores"] <= facts["cores"]
    assert facts["memory_bytes"] > 2**26
    assert facts["processor"]
    moment = datetime.fromisoformat(facts["time"])
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    json.dumps(facts, allow_nan=False)


def test_neither_host_nor_user_is_named(no_memory):
    text = json.dumps(machine_facts())
    assert socket.gethostname() not in text or socket.gethostname() in platform.platform()
    assert not {"host", "hostname", "node", "user"} & machine_facts().keys()


def test_everything_about_a_number_is_in_one_place(no_memory):
    found = provenance({"torch": "2.0", "gpu": None}, {"sslbench": "1", "a-plugin": "2"})
    assert found["torch"] == "2.0"
    assert found["gpu"] is None
    assert found["distributions"] == {"a-plugin": "2", "sslbench": "1"}
    assert machine_facts().keys() < found.keys()


def test_processor_and_cores_are_read_from_linux(monkeypatch, tmp_path, no_memory):
    path = tmp_path / "cpuinfo"
    path.write_text(TWO_SOCKETS)
    monkeypatch.setattr(module, "CPUINFO", path)
    monkeypatch.setattr(module, "usable_cores", lambda: {0, 1, 2, 3})
    assert processor() == "Some CPU @ 2.00GHz"
    assert physical_cores() == 3
    module.cpuinfo.cache_clear()
    monkeypatch.setattr(module, "usable_cores", lambda: {0, 1})
    assert physical_cores() == 1


def test_a_mac_is_asked_by_sysctl(monkeypatch, tmp_path, no_memory):
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    known = {"machdep.cpu.brand_string": "Apple M9", "hw.physicalcpu": "8"}
    monkeypatch.setattr(module, "output_of", lambda *words: known[words[-1]])
    assert (processor(), physical_cores()) == ("Apple M9", 8)


def test_an_unknown_processor_is_what_python_knows(monkeypatch, tmp_path, no_memory):
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert processor() == platform.machine()
    assert physical_cores() is None


def test_the_commit_and_whether_files_differ_from_it(repository, tmp_path):
    commit = repository("rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("results, say")
    facts = machine_facts()
    assert (facts["git_commit"], facts["git_dirty"]) == (commit, False)
    module.git_facts.cache_clear()
    (tmp_path / "file").write_text("two")
    facts = machine_facts()
    assert (facts["git_commit"], facts["git_dirty"]) == (commit, True)


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch, no_memory):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    facts = machine_facts()
    assert (facts["git_commit"], facts["git_dirty"]) == (None, None)


def test_without_git_there_is_no_commit(monkeypatch, repository):
    monkeypatch.setenv("PATH", "")
    facts = machine_facts()
    assert (facts["git_commit"], facts["git_dirty"]) == (None, None)


def test_a_program_that_does_not_end_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "ASK_SECONDS", 0.2)
    assert output_of(sys.executable, "-c", "import time; time.sleep(30)") is None
    assert output_of(sys.executable, "-c", "raise SystemExit(1)") is None
    assert output_of("no-such-program-anywhere") is None


def test_the_store_imports_neither_torch_nor_the_plugin_machinery():
    code = (
        "import sys, sslbench.store.results, sslbench.store.provenance, sslbench.store.artifacts;"
        "print([m for m in ('torch', 'pydantic', 'click', 'pandas', 'numpy', 'pluggy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
