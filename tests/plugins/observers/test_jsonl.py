"""Every event is one whole line of a file, whatever was there before."""

from __future__ import annotations

import json
import os

import pytest

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems
from sslbench.testing.conformance.observers import epoch, finish, observed_pretraining, observed_run

SPEC = Registry().get("observer", "jsonl")


def follow(out, epochs, end=False, fresh=False, **given):
    """The lines of a run of so many epochs, and what ``pretraining_started`` returned."""
    observer = SPEC.build(SPEC.params(**given), BuildContext())
    observer.run_started(observed_run(str(out)))
    last = observer.pretraining_started(observed_pretraining(fresh=fresh))
    for number in epochs:
        observer.epoch_ended(epoch(number))
    if end:
        finish(observer)
    observer.close()
    return last


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_keeps_its_contract():
    assert problems(SPEC) == []


def test_a_run_is_one_line_an_event(tmp_path):
    follow(tmp_path, [1, 2], end=True)
    found = lines(tmp_path / "events.jsonl")
    events = ["run_started", "pretraining_started", "epoch_ended", "epoch_ended", "record_written", "record_written"]
    assert [line["event"] for line in found] == [*events, "pretraining_ended", "run_finished"]
    assert all(line["time"].endswith("+00:00") for line in found)
    assert {line["run"] for line in found if "run" in line} == {"run-key"}
    assert found[2] == found[2] | {
        "key": "key",
        "epoch": 1,
        "loss": 1.0,
        "scalars": {"embedding_spread": 0.5, "odd": None},
    }
    assert found[4]["record"]["metrics"]["few_label_top1@2%"]["value"] == 0.5


def test_what_goes_on_is_appended_and_what_begins_anew_counts_anew(tmp_path):
    assert follow(tmp_path, [1, 2, 3]) == 0
    assert follow(tmp_path, [4]) == 3
    assert follow(tmp_path, [1], fresh=True) == 0
    assert follow(tmp_path, []) == 1
    assert [line["epoch"] for line in lines(tmp_path / "events.jsonl") if line["event"] == "epoch_ended"] == [
        1,
        2,
        3,
        4,
        1,
    ]


@pytest.mark.parametrize(
    "torn", [b'{"event": "epoch_ended", "epoch": 9, "run": "run-k', b'{"event": "epoch_ended"}', b"\xff"]
)
def test_a_line_that_was_torn_is_ended_and_passed_over(tmp_path, torn):
    follow(tmp_path, [1])
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert follow(tmp_path, [2]) == 1
    assert path.read_bytes().startswith(whole + torn + b"\n{")
    assert path.read_bytes().endswith(b"}\n")


def test_another_file_may_hold_several_results_folders(tmp_path):
    path = tmp_path / "new" / "all.jsonl"
    for name in ("a", "b"):
        follow(tmp_path / name, [1], path=str(path))
    assert [line["out"] for line in lines(path) if line["event"] == "run_started"] == [str(tmp_path / n) for n in "ab"]


def test_the_file_may_be_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert follow(tmp_path, [1], path=str(path)) == 0
    taken = [json.loads(line)["event"] for line in os.read(reader, 2**16).splitlines()]
    assert taken == ["run_started", "pretraining_started", "epoch_ended"]
    os.close(reader)


def test_a_device_is_not_read_for_what_it_may_hold(tmp_path):
    with pytest.raises(OSError, match="No space left on device"):
        follow(tmp_path, [1], path="/dev/full")
