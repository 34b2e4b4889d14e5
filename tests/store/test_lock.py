from __future__ import annotations

import json
import os
import socket
import time

import pytest

from sslbench.errors import StoreLocked
from sslbench.store.results import ResultsStore


def refusal(folder):
    begin = time.monotonic()
    with pytest.raises(StoreLocked) as caught:
        ResultsStore.open_for_writing(folder)
    assert time.monotonic() - begin < 5
    (message,) = caught.value.messages
    return message


def test_a_second_process_learns_who_writes(tmp_path, writer):
    process = writer(tmp_path)
    message = refusal(tmp_path)
    who = f"pid {process.pid} on {socket.gethostname()} since 20"
    assert message.startswith(f"{tmp_path}: another process is writing these results: {who}")
    assert "(-c " in message
    assert message.endswith("; wait until it ends, or choose another folder (--out)")
    with ResultsStore.open_for_reading(tmp_path) as store:
        assert len(store.records()) == 3


def test_the_folder_is_free_when_the_writer_ends(tmp_path, writer, keep):
    process = writer(tmp_path)
    process.stdin.close()
    assert process.wait(20) == 0
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "later")
        assert len(store.records()) == 4
    assert not (tmp_path / "results.sqlite.holder.json").exists()


def test_a_second_writer_of_the_same_process_is_refused(tmp_path):
    with ResultsStore.open_for_writing(tmp_path):
        assert f"pid {os.getpid()} on" in refusal(tmp_path)
    ResultsStore.open_for_writing(tmp_path).close()


def test_a_writer_killed_while_writing_leaves_whole_records_and_no_lock(tmp_path, writer, keep):
    process = writer(tmp_path, records=20, then="on")
    process.stdin.close()
    deadline = time.monotonic() + 20
    with ResultsStore.open_for_reading(tmp_path) as store:
        while len(store.records()) < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
    process.kill()
    process.wait()
    assert (tmp_path / "results.sqlite.holder.json").exists()
    with ResultsStore.open_for_reading(tmp_path) as store:
        left = store.records()
    assert len(left) >= 40
    assert [r.cell for r in left] == [f"c{number}" for number in range(len(left))]
    assert all(r.traceback == "x" * 2000 for r in left)
    with ResultsStore.open_for_writing(tmp_path) as store:
        keep(store, "later")
        assert len(store.records()) == len(left) + 1
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "x"}', None])
def test_a_note_that_says_nothing_is_not_believed(tmp_path, note):
    path = tmp_path / "results.sqlite.holder.json"
    with ResultsStore.open_for_writing(tmp_path):
        path.unlink()
        if note is not None:
            path.write_text(note)
        assert "writing these results: which one is not known; wait" in refusal(tmp_path)


def test_the_note_of_a_dead_process_is_not_believed(tmp_path, writer):
    process = writer(tmp_path)
    process.kill()
    process.wait()
    path = tmp_path / "results.sqlite.holder.json"
    stale = path.read_text()
    assert json.loads(stale)["pid"] == process.pid
    with ResultsStore.open_for_writing(tmp_path):
        path.write_text(stale)
        assert "which one is not known" in refusal(tmp_path)


def test_a_store_that_cannot_be_opened_holds_no_lock(tmp_path):
    (tmp_path / "results.sqlite").write_bytes(b"no database " * 100)
    for _ in range(2):
        with pytest.raises(Exception, match="file is not a database"):
            ResultsStore.open_for_writing(tmp_path)
    (tmp_path / "results.sqlite").unlink()
    ResultsStore.open_for_writing(tmp_path).close()
