"""The notebook of the documentation runs, and shows what a reader of the page sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs/notebook.ipynb"
WRITTEN = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code_of(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(cell):
    """What a cell shows, without what changes from run to run; lines that are printed come in one piece or several."""
    shown = [(output["output_type"], *sorted(output.get("data", ()))) for output in cell["outputs"]]
    return list(dict.fromkeys(shown))


def test_the_notebook_is_kept_as_it_ran_small_and_without_paths_of_a_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 100_000
    assert re.findall(r"/(?:tmp|home|root|work)/|Traceback|Warning", text) == []
    assert [cell["execution_count"] for cell in code_of(WRITTEN)] == [*range(1, len(code_of(WRITTEN)) + 1)]
    lines = [line for cell in WRITTEN["cells"] for line in "".join(cell["source"]).splitlines()]
    assert max(map(len, lines)) <= 120
    assert re.findall(r"(?i)judg\w*|senseless|paint\w*|kitchen|\bsight\b", "\n".join(lines)) == []


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_kept(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.delenv("SSLBENCH_EXECUTOR")
    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for written, ran in zip(code_of(WRITTEN), code_of(notebook), strict=True):
        assert kinds(ran) == kinds(written), "".join(written["source"])
    assert (tmp_path / "report.html").is_file()


SCRIPT = """
import os, signal, sslbench
from sslbench.contracts.executor import TrainingProgress

def stop(event):
    if isinstance(event, TrainingProgress):
        os.kill(os.getpid(), signal.SIGINT)

data = {"name": "shapes", "train_images": 80, "test_images": 16, "image_size": 16}
small = {"data": data, "backbones": "convnet-small:width=4", "evaluators": "knn"}
results = sslbench.run(methods=["raw-pixels", "simclr"], epochs=100000, out="out", progress=stop, **small)
print("not reached")
"""


@pytest.mark.slow
def test_a_plain_script_uses_worker_processes_and_ends_by_ctrl_c_with_what_is_finished(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "SSLBENCH_EXECUTOR"}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (-signal.SIGINT, 130)
    assert done.stdout == ""
    assert done.stderr.endswith("KeyboardInterrupt: 1 cell kept in out; the same call goes on from there\n")
    import sslbench

    with pytest.warns(UserWarning, match="1 of 2 cells have results"):
        assert sslbench.load(tmp_path / "out").table()["method"].tolist() == ["raw-pixels"]
