"""Records as ``sslbench run`` makes them, without running anything."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sslbench.store.current import Asked, Asker
from sslbench.store.record import DataFacts, MetricValue, Record
from sslbench.store.results import ResultsStore

TRAINING = {"epochs": 20, "batch_size": 128, "image_size": None, "train_images": 10000, "evaluate_on": "test"}
TRAINING |= {"precision": "fp32", "compile": False, "device": "cpu"}
UNTRAINED = {key: TRAINING[key] for key in ("image_size", "train_images", "evaluate_on", "precision", "device")}
SPEED = ("seconds", "images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share", "peak_memory_bytes")
SPEED += ("flops_per_image", "final_loss")


def make_metric(value, unit="", higher=True, std=None, n=None, reason=None):
    return MetricValue(value, unit, higher, std, n, reason)


def make_record(
    method="simclr",
    seed=0,
    evaluator="knn",
    metrics=None,
    status="done",
    reason=None,
    augmentation="affine",
    masking=None,
    mask_ratio=None,
    backbone="convnet-small",
    dataset="digits",
    params=None,
    pretraining=None,
    features=None,
    time="2026-01-01T00:00:00+00:00",
):
    """One record. ``metrics`` maps names to values, or to whole entries."""
    axes = {"method": method, "augmentation": augmentation, "masking": masking, "dataset": dataset}
    axes["backbone"] = backbone
    key = f"{'-'.join(str(name) for name in axes.values())}-{mask_ratio}-{params}-{seed}"
    metrics = {"knn_top1": 0.9} if metrics is None else metrics
    speed = dict.fromkeys(SPEED)
    chosen = {kind: {} for kind, name in axes.items() if name is not None}
    chosen |= {"evaluator": {}, "training": TRAINING if augmentation else UNTRAINED}
    if masking:
        chosen["masking"] = {"ratio": mask_ratio}
    data = {
        "cell": f"{key}-{evaluator}-{(params or {}).get('evaluator')}",
        "status": status,
        "reason": reason,
        **axes,
        "mask_ratio": mask_ratio,
        "evaluator": evaluator,
        "seed": seed,
        "params": {**chosen, **(params or {})},
        "pretraining": {"key": key, "epochs": 20, "steps": 220, **speed, **(pretraining or {})},
        "features": {"dim": 64, "images_per_second": None, "seconds": 1.0, "spread": 0.5, **(features or {})},
        "traceback": None,
        "provenance": {"time": time},
    }
    values = {k: v if isinstance(v, MetricValue) else make_metric(v) for k, v in metrics.items()}
    return replace(Record.from_json(data), metrics=values)


RECIPES = [
    ("simclr", "affine", None, "convnet-small"),
    ("simclr", "affine", None, "vit-tiny-small-image"),
    ("mae", "affine", "random", "vit-tiny-small-image"),
    ("mae", "affine", "block", "vit-tiny-small-image"),
    ("mae", "affine", "grid", "vit-tiny-small-image"),
    ("random-init", None, None, "convnet-small"),
    ("random-init", None, None, "vit-tiny-small-image"),
    ("raw-pixels", None, None, None),
]


def make_suite(seeds=(0,)):
    """What the default suite leaves, with numbers as large as they come."""
    source = random.Random(0)
    records = []
    for seed in seeds:
        for method, augmentation, masking, backbone in RECIPES:
            shared = {"masking": masking, "mask_ratio": 0.75 if masking else None}
            shared |= {"augmentation": augmentation, "backbone": backbone}
            if augmentation:
                shared["pretraining"] = {
                    "seconds": source.uniform(100, 1900),
                    "images_per_second": source.uniform(300, 99_000),
                    "step_ms_median": source.uniform(100, 400),
                    "step_ms_iqr": source.uniform(10, 40),
                    "data_wait_share": source.uniform(0, 0.3),
                    "peak_memory_bytes": round(source.uniform(4e8, 5e9)),
                    "flops_per_image": source.uniform(1e7, 2e9),
                }
            else:
                shared["pretraining"] = {"steps": 0, "epochs": 0, "seconds": 0.0}
            shared["features"] = {"images_per_second": source.uniform(2_000, 2_000_000)}
            draws = {f"few_label_top1@{n}": make_metric(source.random(), std=0.0123 * n, n=5) for n in (2, 13)}
            for evaluator, metrics in (
                ("knn", {"knn_top1": source.uniform(0.5, 1)}),
                ("linear-probe", {"linear_top1": source.uniform(0.5, 1)}),
                ("few-label", draws),
            ):
                records.append(make_record(method, seed, evaluator, metrics, **shared))
        for evaluator in ("knn", "linear-probe", "few-label"):
            for masking in ("random", "block", "grid"):
                why = "mae needs a backbone with tokens; convnet-small has none"
                facts = {"masking": masking, "mask_ratio": 0.75, "status": "skipped", "reason": why}
                records.append(make_record("mae", seed, evaluator, {}, **facts))
    return records


@pytest.fixture(scope="session")
def record():
    return make_record


@pytest.fixture(scope="session")
def metric():
    return make_metric


@pytest.fixture(scope="session")
def default_suite():
    return make_suite


PAGE_SPEED = {"images_per_second": 1234.0, "peak_memory_bytes": 500_000_000, "seconds": 12.0, "losses": [2.0, 1.0]}
PAGE_FACTS = DataFacts(80, 20, evaluated_on="all", classes=2, majority_class="ok", majority_share=0.6, image_size=64)


def write_page_results(folder, records, command="sslbench run quick"):
    with ResultsStore.open_for_writing(folder) as store:
        for record in records:
            store.put(record, suite="quick", description=record.cell, inputs={})
        asked = [Asked(record.cell, "", record.cell) for record in records]
        store.ask(asked, Asker("quick", "quick", command=command))


def make_page_records(methods=("simclr", "mae", "random-init"), seeds=3, **facts):
    best = {name: 0.95 - 0.1 * place for place, name in enumerate(methods)}
    return [
        replace(
            make_record(
                name,
                seed,
                metrics={"knn_top1": best[name] + 0.01 * seed * (1 + best[name])},
                pretraining=PAGE_SPEED,
                **facts,
            ),
            data=PAGE_FACTS,
        )
        for name in methods
        for seed in range(seeds)
    ]


@pytest.fixture(scope="session")
def write_results():
    return write_page_results


@pytest.fixture(scope="session")
def page_records():
    return make_page_records
