"""``config.json`` of an exported model: timm's keys, and what sslbench knows beside them."""

from __future__ import annotations

from typing import Any

from sslbench.contracts.backbone import Backbone, BackboneSpec, TimmModel
from sslbench.contracts.method import InputSpec
from sslbench.plan.cell import Choice
from sslbench.store.record import Record


def config_of_timm(record: Record, encoder: Backbone, model: TimmModel, wanted: InputSpec) -> dict[str, Any]:
    """For a network that plain timm builds."""
    return {
        "num_classes": 0,
        "num_features": encoder.feature_dim,
        "architecture": model.architecture,
        "model_args": {**model.arguments, "num_classes": 0},
        "pretrained_cfg": pretrained_cfg(wanted, fixed="img_size" in model.arguments),
        "sslbench": training_of(record),
    }


def config_of_backbone(
    record: Record, encoder: Backbone, backbone: Choice[BackboneSpec], wanted: InputSpec
) -> dict[str, Any]:
    """For a network that only sslbench builds: its backbone and parameters."""
    network = {
        "backbone": backbone.description,
        "image_size": wanted.size,
        "provides": sorted(backbone.spec.provided(backbone.params)),
    }
    return {
        "num_classes": 0,
        "num_features": encoder.feature_dim,
        "pretrained_cfg": pretrained_cfg(wanted, fixed=True),
        "sslbench": {**training_of(record), **network},
    }


def training_of(record: Record) -> dict[str, Any]:
    """Which training it was."""
    axes = {key: getattr(record, key) for key in ("method", "dataset", "augmentation", "masking", "seed")}
    key = record.pretraining.key if record.pretraining else None
    return {**axes, "params": record.params, "pretraining": key}


def pretrained_cfg(wanted: InputSpec, fixed: bool) -> dict[str, Any]:
    """An input in the words of timm's ``PretrainedCfg``. A channel without spread is only centred."""
    return {
        "tag": "sslbench",
        "input_size": [3, wanted.size, wanted.size],
        "fixed_input_size": fixed,
        "interpolation": wanted.interpolation,
        "crop_pct": wanted.crop,
        "crop_mode": "center",
        "mean": list(wanted.mean),
        "std": [value if value > 0 else 1.0 for value in wanted.std],
        "num_classes": 0,
        "pool_size": None,
        "first_conv": None,
        "classifier": None,
    }
