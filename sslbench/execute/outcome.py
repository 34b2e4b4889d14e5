"""The parts of a record that describe a training and its features."""

from __future__ import annotations

from dataclasses import asdict

from sslbench.evaluate.features import COLLAPSED_EMBEDDINGS, COLLAPSED_SPREAD, Extraction
from sslbench.store.record import FeatureFacts, Status, TrainingFacts, TrainingInput
from sslbench.train.curve import Curve
from sslbench.train.data import Splits
from sslbench.train.trainer import Trained


def training_facts(key: str, trained: Trained, flops: float | None, data: Splits, curve: Curve | None) -> TrainingFacts:
    """The record's ``pretraining`` of one that has ended; ``flops``: forward and backward of one image."""
    return TrainingFacts(
        key=key,
        epochs=trained.epochs,
        steps=trained.steps,
        seconds=trained.seconds,
        **asdict(trained.times),
        peak_memory_bytes=trained.peak_memory_bytes,
        flops_per_image=flops,
        final_loss=trained.final_loss,
        losses=trained.losses,
        curve=tuple(curve.points) if curve else None,
        batch_size=trained.batch_size,
        scalars=trained.scalars,
        resumed_at=trained.resumed_at,
        images_skipped=data.skipped,
        input=input_of(data),
        curve_seconds=curve.seconds if curve else None,
        curve_asked=curve.asked if curve else None,
    )


def input_of(data: Splits) -> TrainingInput:
    """The record's description of the images that the encoder was trained on."""
    return TrainingInput(data.image_size, data.classes, data.mean, data.std)


def feature_facts(features: Extraction | None) -> FeatureFacts | None:
    """The record's ``features``, None where none were extracted."""
    if features is None:
        return None
    return FeatureFacts(features.dim, features.images_per_second, features.seconds, features.spread)


def status_of_features(training: TrainingFacts, features: Extraction) -> tuple[Status, str | None]:
    """An evaluated cell's status, and why it is another than ``done``."""
    if features.spread is None:
        return "failed", "the features are not finite"
    if training.steps and features.spread < COLLAPSED_SPREAD:
        reason = f"features of different images are all but equal: spread {features.spread:.2g} < {COLLAPSED_SPREAD}"
        return "collapsed", reason
    spread = training.scalars.get("embedding_spread")
    if spread is not None and spread < COLLAPSED_EMBEDDINGS:
        reason = f"embeddings that the loss compares are all but equal: spread {spread:.2g} < {COLLAPSED_EMBEDDINGS}"
        return "collapsed", reason
    return "done", None
