"""What killed writers leave is removed by the next one; what others are writing is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from sslbench.store.atomic import write_atomically


@pytest.fixture(scope="module")
def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_writer_left_in_the_folder_is_removed_by_the_next(tmp_path, ended):
    host = socket.gethostname()
    for name in (f".f.{ended}.partial", f".f.{ended}@{host}.partial", f".other.{ended}@{host}.partial"):
        (tmp_path / name).write_bytes(b"half")
    write_atomically(tmp_path / "f", b"a", b"b")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("f", b"ab")]


def test_what_may_still_be_written_or_is_somebody_elses_stays(tmp_path, ended):
    kept = {f".f.{os.getppid()}.partial", f".f.{ended}@elsewhere.partial", "f.partial", ".f.partial", ".f.x.partial"}
    for name in kept:
        (tmp_path / name).write_bytes(b"theirs")
    write_atomically(tmp_path / "f", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "f"}
