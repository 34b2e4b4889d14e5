"""A training before it begins: its plugins built, what is trained, how and for how long; and its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sslbench.contracts.augmentation import Augmentation
from sslbench.contracts.dataset import Dataset
from sslbench.contracts.executor import EpochEnded, TrainingProgress, TrainingSettings
from sslbench.contracts.masking import Masking
from sslbench.contracts.method import Method
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.plan.cell import Choice
from sslbench.train.curve import Curve
from sslbench.train.data import Splits
from sslbench.train.randomness import seed_everything

_LAST_DATASET: dict[tuple[str, str, bool], Dataset | SslbenchError] = {}


def build_method(method: Choice[Any], backbone: Choice[Any] | None, context: BuildContext) -> Method:
    """The method on its backbone, initialised from the seed of the context. Raises whatever the plugins raise."""
    seed_everything(context.seed, "init")
    network = backbone.build(context) if backbone else None
    fixed = [name for name, p in network.named_parameters() if not p.requires_grad] if network else ()
    built: Method = method.build(replace(context, backbone=network))
    built.fixed = frozenset(fixed)
    return built


def build_dataset(choice: Choice[Any], download: bool) -> Dataset:
    """The data set, read once and kept for the next pretraining; a failure to read it is kept as well."""
    key = (choice.name, repr(sorted(choice.values.items())), download)
    if key not in _LAST_DATASET:
        _LAST_DATASET.clear()
        try:
            _LAST_DATASET[key] = choice.build(BuildContext(download=download))
        except SslbenchError as error:
            _LAST_DATASET[key] = error
    dataset = _LAST_DATASET[key]
    if isinstance(dataset, SslbenchError):
        raise dataset
    return dataset


@dataclass(frozen=True, kw_only=True)
class StepTask:
    """A method and what its steps need beside images."""

    method: Method
    params: MethodParams
    masking: Masking | None = None
    mask_ratio: float | None = None
    labels: bool = False
    """whether the method trains on labels"""


@dataclass(frozen=True, kw_only=True)
class TrainingTask(StepTask):
    """A method, its images and the augmentation that makes views of them."""

    data: Splits
    augmentation: Augmentation


@dataclass(frozen=True)
class LoopSettings:
    """How long and how the loop runs: a suite's ``[training]``, with seed and device."""

    epochs: int
    batch_size: int
    seed: int
    device: torch.device
    precision: str = "fp32"
    compile: bool = False
    cuda_graphs: bool = False
    """the whole step as one CUDA graph"""
    accumulate: int = 1
    """parts that a batch is split into, whose gradients are added up before the optimizer steps"""
    time_limit: float | None = None
    """seconds of training"""
    checkpoint_every: float = 15.0
    """seconds between two checkpoints, at least"""
    checkpoint: Path | None = None
    """file that a killed training resumes from; None: it begins anew"""

    @classmethod
    def of(cls, training: TrainingSettings, seed: int, checkpoint: Path | None = None) -> LoopSettings:
        """The loop's part of a suite's settings, whose device and precision are resolved."""
        return cls(
            epochs=training.epochs,
            batch_size=training.batch_size,
            seed=seed,
            device=torch.device(training.device),
            precision=training.precision,
            compile=training.compile,
            cuda_graphs=training.cuda_graphs,
            accumulate=training.accumulate,
            time_limit=training.time_limit,
            checkpoint_every=training.checkpoint_every,
            checkpoint=checkpoint,
        )


@dataclass(frozen=True)
class Callbacks:
    """Who is called while a training runs, and the curve that is measured meanwhile."""

    on_progress: Callable[[TrainingProgress], None] = lambda progress: None
    on_epoch: Callable[[EpochEnded], None] = lambda epoch: None
    on_warning: Callable[[str], None] = lambda text: None
    curve: Curve | None = None
