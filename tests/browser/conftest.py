"""A browser without a window, and pages of results to open in it."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace

import pytest

from sslbench.report.html.page import write_report
from sslbench.results.chapters import KINDS
from sslbench.store.artifacts import pretraining_files
from sslbench.store.current import Asked, Asker
from sslbench.store.pictures import PicturePoint, StoredPicture, write_pictures
from sslbench.store.record import CurvePoint, DataFacts, MetricValue, Record, TrainingFacts
from sslbench.store.results import ResultsStore

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOW = "needs a Chromium on the path (apt-get install chromium) and pip install -e '.[browser]'"
FACTS = DataFacts(80, 20, evaluated_on="all", classes=2, majority_class="ok", majority_share=0.6, image_size=64)
TRAINING = {"epochs": 5, "batch_size": 32, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip(HOW)
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(HOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def a_record(method, backbone, seed, value, evaluator="knn", metric="knn_top1", **facts):
    key = f"{method}-{backbone}-{seed}"
    losses = [2.0 / (epoch + 1) + 0.05 * seed for epoch in range(5)]
    curve = [CurvePoint(2 * n, losses[n], {"knn_top1": MetricValue(value - 0.1 / n)}) for n in (1, 2)]
    training = TrainingFacts(
        key, 5, 100, 10.0 + value, 1000 / value, 20.0, 2.0, 0.1, int(4e8 * value), 3e7, 0.5, losses, curve
    )
    return Record(
        f"{key}-{evaluator}",
        "done",
        method,
        seed,
        augmentation="affine",
        evaluator=evaluator,
        dataset="photos",
        backbone=backbone,
        params={"training": TRAINING, "method": facts.get("params", {})},
        metrics={metric: MetricValue(value)},
        headline=metric,
        pretraining=training,
        data=FACTS,
        provenance={"time": "2026-01-01T00:00:00+00:00", "sslbench": "0.1.0", "processor": "a processor"},
    )


def write(folder, records):
    with ResultsStore.open_for_writing(folder) as store:
        store._db.execute("BEGIN")
        for record in records:
            store.put(record, suite="quick", description=record.cell, inputs={})
        store._db.execute("COMMIT")
        asked = [Asked(record.cell, "", record.cell) for record in records]
        store.ask(asked, Asker("quick", "quick", command="sslbench run quick --seeds 0-2"))


def make_records(methods=("simclr", "mae", "byol"), backbones=("convnet-small", "vit-tiny-small-image"), seeds=3):
    source = random.Random(0)
    return [
        a_record(method, backbone, seed, 0.95 - 0.1 * place - 0.05 * second + 0.02 * source.random(), evaluator, metric)
        for place, method in enumerate(methods)
        for second, backbone in enumerate(backbones)
        for seed in range(seeds)
        for evaluator, metric in (("knn", "knn_top1"), ("linear-probe", "linear_top1"))
    ]


def png(shade):
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (16, 16), (shade, 90, 200)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def page_path(tmp_path_factory):
    """A page with every section."""
    folder = tmp_path_factory.mktemp("results")
    records = make_records(("simclr", "mae", "a-method-of-a-long-name"))
    failed = replace(records[-1], status="failed", metrics={}, reason="RuntimeError: it broke")
    write(folder, [*records[:-1], failed])
    points = tuple(PicturePoint(n % 4, n // 4, f"class {n % 2}", png(10 * n)) for n in range(12))
    pictures = [
        StoredPicture("mistakes", "Images that were taken for others.", png(200)),
        StoredPicture("map", "Features in two dimensions.", png(100), points),
    ]
    write_pictures(pretraining_files(folder, str(records[0].pretraining.key)), records[0].cell, pictures)
    write_report([folder], folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A function: records -> the page of a folder that holds them."""

    def make(*groups):
        folders = [tmp_path_factory.mktemp("folder") for _ in groups]
        for folder, records in zip(folders, groups, strict=True):
            write(folder, records)
        write_report(folders, folders[0] / "report.html")
        return folders[0] / "report.html"

    return make


@pytest.fixture(scope="session")
def records_of():
    return make_records


@pytest.fixture(scope="session")
def thousand():
    """Records of as many recipes, one seed each."""
    records = []
    for n in range(1000):
        record = a_record("simclr", "convnet-small", 0, 0.2 + n / 2000, params={"lr": n})
        training = replace(record.pretraining, key=f"key{n}")
        records.append(replace(record, cell=f"cell{n}", pretraining=training))
    return records


@pytest.fixture(scope="session")
def page_of_speeds(tmp_path_factory):
    """A page of rows that a speed suite timed, one against the other."""
    folder = tmp_path_factory.mktemp("speeds")
    settings = {"batch_size": 4, "precision": "fp32", "compile": "eager", "image_size": 32, "device": "cpu"}
    ratio = {"baselines": ["slow"], "cell": "s0", "ratio": 2.0, "low": 1.8, "high": 2.2, "noise_floor": 0.02}
    records = [
        Record(
            f"s{number}",
            "done",
            method,
            0,
            kind="speed",
            params={"method": {}, "speed": settings},
            speed={**settings, "images": 4, "images_per_second": 20.0 + number, "median_ms": 9.0, "steady": True}
            | {"against": [{**ratio, "differs": True, "flop_bound": 2.5}] if number else []},
        )
        for number, method in enumerate(("mae", "simclr"))
    ]
    write(folder, records)
    write_report([folder], folder / "report.html", KINDS)
    return folder / "report.html"
