"""Records and processes that the tests of the store share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sslbench.store.record import Record


@pytest.fixture
def record():
    """Make a record, small but with every field."""

    def make(cell="c0", **changes):
        data = {
            "cell": cell,
            "status": "done",
            "reason": None,
            "method": "simclr",
            "augmentation": "affine",
            "masking": None,
            "mask_ratio": None,
            "evaluator": "knn",
            "dataset": "digits",
            "backbone": "convnet-small",
            "seed": 0,
            "params": {"method": {"temperature": 0.1}, "evaluator": {"k": 20}},
            "metrics": {"knn_top1": {"value": 0.1 + 0.2, "unit": "", "higher_is_better": True, "std": None, "n": None}},
            "pretraining": {"key": "p0", "seconds": 1e-300, "final_loss": 3.141592653589793},
            "features": {"dim": 64, "spread": 0.5},
            "traceback": "Zeile 1: ünïcode \u2028 \ud800 lone surrogate",
            "provenance": {"time": "2026-01-01T00:00:00+00:00"},
            **changes,
        }
        return Record.from_json(data)

    return make


@pytest.fixture
def old_store(tmp_path) -> Path:
    """A folder as the code of schema 1 left it."""
    folder = tmp_path / "old"
    folder.mkdir()
    db = sqlite3.connect(folder / "results.sqlite")
    db.executescript(Path(__file__).with_name("schema_1.sql").read_text(encoding="utf-8"))
    db.close()
    return folder


@pytest.fixture
def keep(record):
    """Store records of the cells with these names."""

    def put(store, *cells, **changes):
        for cell in cells:
            store.put(record(cell, **changes), suite="quick", description=f"what-{cell}", inputs={"code": {}})

    return put


WRITER = """
import os, sys
from pathlib import Path
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

def put(store, number):
    record = Record(f"c{number}", "done", "simclr", 0, traceback="x" * 2000)
    store.put(record, suite="quick", description="d", inputs={})

with ResultsStore.open_for_writing(Path(sys.argv[1])) as store:
    for number in range(int(sys.argv[2])):
        put(store, number)
    print("written", flush=True)
    sys.stdin.read()
    while sys.argv[3] == "on":
        number += 1
        put(store, number)
"""


@pytest.fixture
def writer() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that writes some records, says so, and waits until its stdin is closed."""
    started = []

    def start(folder: Path, records: int = 3, then: str = "end") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(folder), str(records), then]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "written\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def as_reader() -> Iterator[tuple[Path, Callable[..., None]]]:
    """A folder, and ``seal``, after which this process is an ordinary user who cannot write to it.

    ``seal(0o777)`` leaves the folder itself, but not the files in it, open to writing.
    """
    folder = Path(tempfile.mkdtemp(prefix="sslbench-test-"))
    root = os.geteuid() == 0

    def seal(mode: int = 0o555) -> None:
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(mode)
        if root:
            os.seteuid(65534)  # root may write anywhere

    yield folder, seal
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
