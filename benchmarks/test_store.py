"""Speed of the store and the tables: what `sslbench results` waits for."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sslbench.report.tables import render
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

CELLS = 200


def make_record(place: int) -> Record:
    """One cell of a suite with four methods, two evaluators and five backbones, over as many seeds as it takes."""
    seed, rest = divmod(place, 40)
    backbone, rest = divmod(rest, 8)
    method, evaluator = divmod(rest, 2)
    speed = {"images_per_second": 1000.0 + place, "step_ms_median": 30.0, "step_ms_iqr": 1.0, "seconds": 60.0}
    metric = {"value": 0.5 + place / 1000, "unit": "", "higher_is_better": True, "std": None, "n": None, "reason": None}
    data = {
        "cell": f"c{place}",
        "status": "done",
        "reason": None,
        "method": f"method-{method}",
        "augmentation": "simclr",
        "masking": None,
        "mask_ratio": None,
        "evaluator": f"evaluator-{evaluator}",
        "dataset": "digits",
        "backbone": f"backbone-{backbone}",
        "seed": seed,
        "params": {"method": {f"p{i}": i for i in range(20)}, "training": {"epochs": 20, "batch_size": 128}},
        "metrics": {f"metric_{evaluator}": metric},
        "pretraining": {"key": f"p{place // 2}", **speed},
        "features": {"dim": 512, "images_per_second": 20_000.0},
        "traceback": None,
        "provenance": {"time": "2026-01-01T00:00:00+00:00", "distributions": {"sslbench": "0.1.0"}},
    }
    return Record.from_json(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with ResultsStore.open_for_writing(tmp_path) as store:
        for place in range(CELLS):
            store.put(make_record(place), suite="quick", description=f"d{place}", inputs={"code": {}})
    return tmp_path


def test_put_one_record(benchmark: Any, tmp_path: Path) -> None:
    """One transaction that is on the disk when it returns."""
    places = count()
    with ResultsStore.open_for_writing(tmp_path) as store:

        def put() -> None:
            place = next(places)
            store.put(make_record(place), suite="quick", description=f"d{place}", inputs={"code": {}})

        benchmark(put)
        assert len(store.records()) == next(places)


def test_read_all_records(benchmark: Any, folder: Path) -> None:
    """Open, read and parse 200 records."""

    def read() -> list[Record]:
        with ResultsStore.open_for_reading(folder) as store:
            return store.records()

    assert len(benchmark(read)) == CELLS


def test_plan_asks_for_every_cell(benchmark: Any, folder: Path) -> None:
    """What `sslbench plan` asks of the store for 200 cells."""
    with ResultsStore.open_for_reading(folder) as store:
        found = benchmark(lambda: [store.find(f"d{place}") for place in range(CELLS)])
    assert [len(answers) for answers in found] == [1] * CELLS


@pytest.mark.parametrize("fmt", ["table", "markdown", "csv", "json"])
def test_render(benchmark: Any, fmt: str) -> None:
    """200 records to text, pandas imported already."""
    records = [make_record(place) for place in range(CELLS)]
    assert "method-3" in benchmark(render, records, fmt, "quick")
