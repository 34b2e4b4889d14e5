from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sslbench.errors import StoreError, UserError
from sslbench.store import atomic, speeds
from sslbench.store.speeds import add_speed, read_speeds

WRITER = """
import sys
from pathlib import Path
from sslbench.store.speeds import add_speed
for number in range(20):
    add_speed(Path(sys.argv[1]), f"{sys.argv[2]}-{number}", {"step_ms": [0.5] * 500})
"""


def test_a_speed_is_added_or_replaced(tmp_path):
    path = tmp_path / "new" / "speeds.json"
    add_speed(path, "a", {"images": 1})
    add_speed(path, "b", {"images": 2})
    add_speed(path, "a", {"images": 3})
    assert read_speeds(path) == {"a": {"images": 3}, "b": {"images": 2}}
    assert len(path.read_text().splitlines()) == 4  # a measurement is one line


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    path = tmp_path / "speeds.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(name)]) for name in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert set(read_speeds(path)) == {f"{name}-{number}" for name in range(3) for number in range(20)}


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "speeds.json"
    add_speed(path, "a", {"images": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StoreError, match=r"speeds\.json: cannot store the speed of b: No space left on device"):
        add_speed(path, "b", {"images": 2})
    assert set(read_speeds(path)) == {"a"}


def test_a_lock_that_nobody_gives_back_is_an_error(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(speeds, "PATIENCE", 0.01)
    with (
        FileLock(tmp_path / "speeds.json.lock"),
        pytest.raises(StoreError, match=r"another process has held speeds\.json\.lock for"),
    ):
        add_speed(tmp_path / "speeds.json", "a", {})


def test_what_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        add_speed(tmp_path / "speeds.json", "a", {"step_ms": [float("nan")]})
    assert not (tmp_path / "speeds.json").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"speeds\.json: no such file; --sslbench-save makes one"),
        ("{", r"speeds\.json: cannot be read as JSON: "),
        (json.dumps([1]), r"speeds\.json: JSON, but not speeds as --sslbench-save writes them"),
        (json.dumps({"schema": 1, "records": []}), "not speeds as --sslbench-save writes them"),
        (json.dumps({"schema": 9, "speeds": {}}), "not speeds as --sslbench-save writes them"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    path = tmp_path / "speeds.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_speeds(path)
    if text is not None:
        with pytest.raises(UserError, match=words):
            add_speed(path, "a", {})
        assert path.read_text() == text
