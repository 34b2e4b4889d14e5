"""The GPU measurement in its dry run: every step of it works with the project as it is, tiny and on the CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
SPEED = ("simclr", "mae", "huge", "compiled-mae")
SCRIPTS = ("views", "evaluators", "steps", "checkpoints", "feeding", "profile")
LONG = ("simclr200", "moco200")
STEPS = ("doctor", *SPEED, *SCRIPTS, *LONG)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of results, and what the script reported of each step: its exit status."""
    out = tmp_path_factory.mktemp("gpu")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"PATH": path, "DRY": "1", "ONLY": " ".join(STEPS), "OUT": str(out), "LIMIT": "3000"}
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks/gpu/measure.sh")],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    reported = dict(re.findall(r"^== \d+ s: ([\w-]+): exit (\d+)", done.stdout, flags=re.MULTILINE))
    return out, reported, (out / "log.txt").read_text()


def test_every_step_ends_well(measured):
    _, reported, log = measured
    assert reported == dict.fromkeys(STEPS, "0"), log[-3000:]


def test_each_step_leaves_its_numbers(measured):
    out = measured[0]
    for name in SPEED:
        records = json.loads((out / f"{name}.json").read_text())["records"]
        assert {record["status"] for record in records} == {"done"}
    assert any(record["speed"]["end_to_end"] for record in json.loads((out / "simclr.json").read_text())["records"])
    decoder = json.JSONDecoder()
    runs, text = [], (out / "run.json").read_text().strip()
    while text:
        run, end = decoder.raw_decode(text)
        runs, text = [*runs, *run["records"]], text[end:].strip()
    assert [(record["method"], record["status"]) for record in runs] == [("simclr", "done"), ("moco", "done")]
    assert all(record["pretraining"]["curve"] for record in runs)


def test_each_script_reports_what_it_measured(measured):
    lines = [json.loads(line) for line in (measured[0] / "steps.jsonl").read_text().splitlines()]
    assert [line for line in lines if "error" in line] == []
    methods = {line["method"] for line in lines if line["what"] == "step"}
    assert methods == {"simclr", "moco", "byol", "simsiam", "dino", "mae"}
    assert sum(line["what"].startswith("evaluator") for line in lines) == 8
    assert sum("launches" in line for line in lines if line["what"].startswith("two views")) >= 2
    assert sum(line["what"].startswith("checkpoints") for line in lines) == 4
    assert {"32 px, on the device", "32 px, read in memory", "224 px, on the device", "224 px, read in memory"} <= {
        line["what"] for line in lines
    }


def test_no_call_leaves_more_files_than_come_back(measured):
    assert len(list(measured[0].iterdir())) <= 8 + 1  # run.json is left by calls of its own
