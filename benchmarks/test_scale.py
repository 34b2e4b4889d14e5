"""Limits on CPU time and memory of the commands that read many records: a gate, run by hand on an idle machine.

They are a quarter above what the commands took on a slow one (docs/log.md). Wanted are 3 s for ``results``, 6 s for
``compare``, and 2 s for ``plan``, of which importing torch takes most, time and memory.
Sizes are those of a large study. A command runs as a process of its own; what it used is what the system says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sslbench.store.record import DataFacts, FeatureFacts, MetricValue, Record, TrainingFacts, TrainingInput
from sslbench.store.results import ResultsStore

RECORDS, EVALUATORS, SEEDS = 50_000, 10, 5
CELLS = 5_000


PROVENANCE = {
    "sslbench": "0.1.0",
    "python": "3.12.3",
    "platform": "Linux-6.8.0-x86_64-with-glibc2.39",
    "processor": "AMD EPYC 7B13",
    "cores": 2,
    "memory_bytes": 2**33,
    "torch": "2.11.0",
    "gpu": None,
    "threads": 1,
    "distributions": {"sslbench": "0.1.0"},
}


def make_record(number: int, shift: float = 0.0) -> Record:
    """One cell of a study: recipes over ten methods, five backbones and learning rates, five seeds, ten evaluators."""
    pretraining, evaluator = divmod(number, EVALUATORS)
    recipe, seed = divmod(pretraining, SEEDS)
    value = (number * 7919 % 1000) / 2000 + 0.4 + shift
    return Record(
        f"{number:016x}",
        "done",
        f"method-{recipe % 10}",
        seed,
        augmentation="simclr",
        evaluator=f"evaluator-{evaluator}",
        dataset="digits",
        backbone=f"backbone-{recipe // 10 % 5}",
        params=params_of(recipe),
        metrics={
            f"metric_{evaluator}": MetricValue(value),
            f"other_{evaluator}": MetricValue(1 - value, std=0.01, n=5),
        },
        headline=f"metric_{evaluator}",
        pretraining=training_facts(pretraining, 60.0 + seed, 1000.0 + pretraining % 100),
        features=FeatureFacts(512, 20_000.0, 0.1, 0.7),
        data=DataFacts(1438, 359, "test", 10, "3", 0.1, 32, (8, 8), {}, 0, "4d0aa04d1b65f02a"),
        provenance={"time": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}+00:00", **PROVENANCE},
        inputs=inputs_of(recipe),
    )


def params_of(recipe: int) -> dict[str, dict[str, object]]:
    """Of every plugin and of the training."""
    training = {"epochs": 20, "batch_size": 128, "image_size": None, "train_images": 10_000, "evaluate_on": "test"}
    return {
        "method": {"lr": 0.01 * (1 + recipe // 50), **{f"parameter_{i}": i / 8 for i in range(12)}},
        "augmentation": {"size": 32, "scale": [0.2, 1.0], "jitter": 0.5, "gray": 0.2},
        "backbone": {"width": 64, "depth": 4},
        "dataset": {"size": 32},
        "evaluator": {"k": 20},
        "training": {**training, "precision": "fp32", "compile": False, "device": "cpu"},
    }


def training_facts(pretraining: int, seconds: float, images_per_second: float) -> TrainingFacts:
    """Of a training of 20 epochs."""
    return TrainingFacts(
        key=f"{pretraining + 2**40:016x}",
        epochs=20,
        steps=1560,
        seconds=seconds,
        images_per_second=images_per_second,
        step_ms_median=30.0,
        step_ms_iqr=1.0,
        data_wait_share=0.02,
        peak_memory_bytes=600_000_000,
        flops_per_image=3.5e7,
        final_loss=3.25,
        losses=tuple(5.0 - 0.0875 * epoch for epoch in range(20)),
        batch_size=128,
        scalars={"temperature": 0.1, "positives": 0.8},
        input=TrainingInput(32, 10, (0.3, 0.3, 0.3), (0.2, 0.2, 0.2)),
    )


def inputs_of(recipe: int) -> dict[str, object]:
    """Code and data of a record."""
    labels = ("the harness", f"method 'method-{recipe % 10}'", "augmentation 'simclr'", "dataset 'digits'")
    return {"code": dict.fromkeys(labels, "sslbench 0.1.0+6e2ca1156180"), "data": "4d0aa04d1b65f02a"}


def fill(folder: Path, records: int = RECORDS, shift: float = 0.0) -> None:
    """A results folder of that many records, written in one transaction."""
    with ResultsStore.open_for_writing(folder) as store:
        store._db.execute("BEGIN")
        for number in range(records):
            record = make_record(number, shift)
            store.put(record, suite="study", description=f"d{number}", inputs=record.inputs or {})
        store._db.execute("COMMIT")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two results folders of the same cells."""
    first, second = (tmp_path_factory.mktemp(name) for name in "ab")
    fill(first)
    fill(second, shift=0.01)
    return first, second


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
sys.exit(code)
"""
"""runs a command from a process that is small: a child's peak of memory begins with that of its parent"""


def used(*arguments: object) -> tuple[float, float]:
    """CPU seconds, user and system, and peak resident MB of a command that succeeds."""
    command = [sys.executable, "-m", "sslbench", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cpu, memory = map(float, done.stdout.split())
    print(f"{' '.join(command[2:4])}: {cpu:.2f} s of CPU, {memory:.0f} MB")
    return cpu, memory


def test_results(folders: tuple[Path, Path]) -> None:
    """50,000 records as a table."""
    cpu, memory = used("results", folders[0])
    assert (cpu <= 9, memory <= 230) == (True, True), (cpu, memory)


def test_compare(folders: tuple[Path, Path]) -> None:
    """50,000 records against as many."""
    cpu, memory = used("compare", *folders)
    assert (cpu <= 23, memory <= 380) == (True, True), (cpu, memory)


SUITE = """
seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
[axes]
dataset = ["digits"]
backbone = ["convnet-small"]
augmentation = ["auto"]
method = [{methods}]
evaluator = [{evaluators}]
"""


def test_plan(tmp_path: Path) -> None:
    """A suite of 5,000 cells, of which none is done."""
    methods = [f'"simclr:temperature={(i + 1) / 100}"' for i in range(CELLS // 100)]
    suite = tmp_path / "study.toml"
    evaluators = [f'"knn:k={k}"' for k in range(1, 11)]
    suite.write_text(SUITE.format(methods=", ".join(methods), evaluators=", ".join(evaluators)))
    cpu, memory = used("plan", suite, "--out", tmp_path / "out")
    assert (cpu <= 4, memory <= 860) == (True, True), (cpu, memory)
