"""What a record says of a training, and of the features that came of it."""

from __future__ import annotations

from dataclasses import asdict

from sslbench.evaluate.features import COLLAPSED_EMBEDDINGS, COLLAPSED_SPREAD, Extraction
from sslbench.store.record import FeatureFacts, Status, TrainingFacts, TrainingInput
from sslbench.train.curve import Curve
from sslbench.train.data import Splits
from sslbench.train.trainer import Trained


def training_facts(key: str, trained: Trained, flops: float | None, data: Splits, curve: Curve | None) -> TrainingFacts:
    """Of a pretraining that has ended; ``flops`` of an image's forward and backward."""
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
    """What the encoder was trained on."""
    return TrainingInput(data.image_size, data.classes, data.mean, data.std)


def feature_facts(features: Extraction | None) -> FeatureFacts | None:
    """Of features that were extracted, if they were."""
    if features is None:
        return None
    return FeatureFacts(features.dim, features.images_per_second, features.seconds, features.spread)


def status_of_features(training: TrainingFacts, features: Extraction) -> tuple[Status, str | None]:
    """An evaluated cell's status, and why it is another than ``done``."""
    if features.spread is None:
        return "failed", "the features are not finite"
    if training.steps and features.spread < COLLAPSED_SPREAD:
        words = f"features of different images are all but equal: spread {features.spread:.2g} < {COLLAPSED_SPREAD}"
        return "collapsed", words
    apart = training.scalars.get("embedding_spread")
    if apart is not None and apart < COLLAPSED_EMBEDDINGS:
        words = f"embeddings that the loss compares are all but equal: spread {apart:.2g} < {COLLAPSED_EMBEDDINGS}"
        return "collapsed", words
    return "done", None
