"""What is imported before a command does anything; times are in ``benchmarks/``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sslbench.cli.group import COMMANDS


def imported(*arguments):
    """Modules in a fresh interpreter after one command."""
    code = (
        "import sys, contextlib, io\n"
        "from sslbench.cli.main import call\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    code = call({list(arguments)!r})\n"
        "print(code, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    code, *modules = done.stdout.split()
    return int(code), set(modules)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("list",), ("list", "method", "--format", "json")])
def test_help_and_list_import_neither_torch_nor_pandas_nor_pydantic(arguments):
    code, modules = imported(*arguments)
    assert code == 0
    assert modules.isdisjoint({"torch", "pandas", "numpy", "pydantic", "rich", "pluggy", "sslbench_plugins"})


def test_suites_import_no_torch():
    code, modules = imported("suites")
    assert code == 0
    assert modules.isdisjoint({"torch", "pandas", "numpy", "rich", "sslbench_plugins"})


def test_registry_and_plan_are_imported_without_torch():
    code = "import sys, sslbench.hooks.registry, sslbench.plan.choose, sslbench.plan.expand; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "pandas", "numpy", "rich", "sslbench_plugins"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_light_too(command):
    code, modules = imported(command, "--help")
    assert code == 0
    assert modules.isdisjoint({"torch", "pandas", "pydantic", "rich"})


def test_results_never_imports_torch(tmp_path):
    from sslbench.store.results import ResultsStore

    with ResultsStore.open_for_writing(tmp_path):
        pass
    code, modules = imported("results", str(tmp_path))
    assert code == 0
    assert modules.isdisjoint({"torch", "pandas", "pydantic", "rich", "sslbench_plugins"})


def test_compare_never_imports_torch_or_pandas(tmp_path):
    from sslbench.store.record import Record, TrainingFacts
    from sslbench.store.results import ResultsStore

    training = TrainingFacts("p", images_per_second=10.0, step_ms_median=1.0)
    record = Record("c", "done", "simclr", 0, evaluator="knn", pretraining=training)
    with ResultsStore.open_for_writing(tmp_path) as store:
        store.put(record, suite="quick", description="d", inputs={})
        store.put_steps("p", [1.0, 1.1] * 50)
    code, modules = imported("compare", str(tmp_path), str(tmp_path), "--fail-on", "images_per_second:5%")
    assert code == 0
    assert "numpy" in modules  # the interval over steps was made
    assert modules.isdisjoint({"torch", "pandas", "pydantic", "rich", "sslbench_plugins"})


def test_the_public_door_imports_no_torch_and_knows_its_names():
    code = "import sys, sslbench; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    import sslbench

    for name in sslbench.__all__:
        assert getattr(sslbench, name) is not None
    assert sslbench.__version__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sslbench.nothing


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_without_spinning_unless_the_user_says_otherwise(monkeypatch, given, expected):
    from sslbench.cli.main import main

    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(sys, "argv", ["sslbench", "--version"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert os.environ["OMP_WAIT_POLICY"] == expected
