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
STEPS = ("doctor", "mae", "steps", "pipeline", "graphs", "run", "evaluators", "profile")


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
    reported = dict(re.findall(r"^== \d+ s: (\w+): exit (\d+)", done.stdout, flags=re.MULTILINE))
    return out, reported, (out / "log.txt").read_text()


def test_every_step_ends_well(measured):
    _, reported, log = measured
    assert reported == dict.fromkeys(STEPS, "0"), log[-3000:]


def test_each_step_leaves_its_numbers(measured):
    out = measured[0]
    assert all(json.loads((out / name).read_text())["records"] for name in ("mae.json", "pipeline.json", "graphs.json"))
    assert {record["status"] for record in json.loads((out / "run.json").read_text())["records"]} == {"done"}
    lines = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    assert [line for line in lines if "error" in line] == []
    methods = {line["method"] for line in lines if line["what"] == "step"}
    assert methods == {"simclr", "moco", "byol", "simsiam", "dino", "mae"}
    assert sum(line["what"].startswith("evaluator") for line in lines) == 8
