"""A training before it begins: what is trained, how, for how long, and who is called meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sslbench.contracts.augmentation import Augmentation
from sslbench.contracts.executor import Event, TrainingSettings
from sslbench.contracts.masking import Masking
from sslbench.contracts.method import Method
from sslbench.contracts.params import MethodParams
from sslbench.train.curve import Curve
from sslbench.train.data import Splits


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
    compile_mode: str | None = None
    """of ``torch.compile``; ``reduce-overhead`` records CUDA graphs"""
    accumulate: int = 1
    """parts that a batch is worked on in, one after the other, before the optimizer steps"""
    time_limit: float | None = None
    """seconds of training, or None"""
    checkpoint_every: float = 15.0
    """seconds between two checkpoints"""
    checkpoint: Path | None = None
    """file that a killed training goes on from; None: it begins anew"""

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
            accumulate=training.accumulate,
            time_limit=training.time_limit,
            checkpoint_every=training.checkpoint_every,
            checkpoint=checkpoint,
        )


@dataclass(frozen=True)
class TrainingProgress(Event):
    """Progress of a training, reported whenever the loss was read back."""

    epoch: int
    """from 1"""
    epochs: int
    step: int
    """steps done"""
    total_steps: int
    loss: float
    """mean of the epoch so far"""
    images_per_second: float
    """of the last steps"""


@dataclass(frozen=True)
class Callbacks:
    """Called while a training runs, and the curve that is evaluated then."""

    on_progress: Callable[[TrainingProgress], None] = field(default=lambda progress: None)
    on_warning: Callable[[str], None] = field(default=lambda text: None)
    curve: Curve | None = None
