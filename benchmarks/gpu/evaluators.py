"""Seconds of evaluators on the device, on features as of 50,000 and 10,000 images in ten overlapping classes.

usage: evaluators.py [--dry]
"""

from __future__ import annotations

import torch
from measured import DEVICE, DRY, attempt, now, report

from sslbench import EvaluationData, FeatureSet, build_plugin

TRAIN, TEST = (400, 100) if DRY else (50_000, 10_000)
NAMES = ("knn:preset=k200", "linear-probe", "few-label", "retrieval")


def splits() -> tuple[FeatureSet, FeatureSet]:
    """float32 [N, 512] each."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(TRAIN + TEST) % 10
    centres = torch.randn(10, 512, generator=generator)
    noise = torch.randn(TRAIN + TEST, 512, generator=generator)
    features = torch.relu(noise + 0.15 * centres[labels])
    train, test = slice(TRAIN), slice(TRAIN, None)
    return (
        FeatureSet(features[train].to(DEVICE), labels[train].to(DEVICE)),
        FeatureSet(features[test].to(DEVICE), labels[test].to(DEVICE)),
    )


def measure(name: str, train: FeatureSet, test: FeatureSet) -> None:
    evaluator = build_plugin("evaluator", name)
    for call in ("first", "second"):
        began = now()
        values = {metric.name: metric.value for metric in evaluator.evaluate(EvaluationData(train, test, 10, 0))}
        report(f"evaluator {name}, {call} call", seconds=now() - began, **values)


if __name__ == "__main__":
    for name in NAMES:
        attempt(f"evaluator {name}", measure, name, *splits())
