"""What a record says of a training and of the features that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sslbench.train.features import COLLAPSED_EMBEDDINGS, COLLAPSED_SPREAD, Extraction
from sslbench.train.pretrain import Trained

NOT_MEASURED: dict[str, Any] = {
    "epochs": None,
    "steps": None,
    "seconds": None,
    "images_per_second": None,
    "step_ms_median": None,
    "step_ms_iqr": None,
    "data_wait_share": None,
    "peak_memory_bytes": None,
    "flops_per_image": None,
    "final_loss": None,
    "losses": None,
    "curve": None,
}
FEATURES = ("dim", "images_per_second", "seconds", "spread")


def described_training(key: str, trained: Trained, flops: float | None) -> dict[str, Any]:
    """The record's ``pretraining``."""
    return {
        "key": key,
        "epochs": trained.epochs,
        "steps": trained.steps,
        "seconds": trained.seconds,
        **asdict(trained.times),
        "peak_memory_bytes": trained.peak_memory_bytes,
        "flops_per_image": flops,
        "final_loss": trained.final_loss,
        "losses": list(trained.losses),
        "curve": None,
        "batch_size": trained.batch_size,
        "scalars": trained.scalars,
        "resumed_at": trained.resumed_at,
    }


def described_features(found: Extraction | None) -> dict[str, Any] | None:
    """The record's ``features``."""
    return None if found is None else {name: getattr(found, name) for name in FEATURES}


def status_of_features(pretraining: Mapping[str, Any], found: Extraction) -> tuple[str, str | None]:
    """A judged cell's status, and why it is another than ``done``."""
    if found.spread is None:
        return "failed", "the features are not finite"
    if pretraining["steps"] and found.spread < COLLAPSED_SPREAD:
        words = f"features of different images are all but equal: spread {found.spread:.2g} < {COLLAPSED_SPREAD}"
        return "collapsed", words
    apart = (pretraining.get("scalars") or {}).get("embedding_spread", 1.0)
    if apart < COLLAPSED_EMBEDDINGS:
        words = f"embeddings that the loss compares are all but equal: spread {apart:.2g} < {COLLAPSED_EMBEDDINGS}"
        return "collapsed", words
    return "done", None
