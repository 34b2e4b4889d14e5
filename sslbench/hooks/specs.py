"""The pluggy hooks: one for each kind, and three for observers. None is called inside the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from sslbench.contracts.augmentation import AugmentationSpec
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.dataset import DatasetSpec
    from sslbench.contracts.evaluator import EvaluatorSpec
    from sslbench.contracts.executor import ExecutorSpec
    from sslbench.contracts.masking import MaskingSpec
    from sslbench.contracts.method import MethodSpec
    from sslbench.contracts.simulator import SimulatorSpec

hookspec = pluggy.HookspecMarker("sslbench")
hookimpl = pluggy.HookimplMarker("sslbench")


@hookspec
def sslbench_augmentations() -> list[AugmentationSpec]:  # type: ignore[empty-body]
    """Distributions over single views, on whole batches."""


@hookspec
def sslbench_methods() -> list[MethodSpec]:  # type: ignore[empty-body]
    """Ways to train an encoder without labels, and baselines."""


@hookspec
def sslbench_maskings() -> list[MaskingSpec]:  # type: ignore[empty-body]
    """Which patches of a grid are masked."""


@hookspec
def sslbench_evaluators() -> list[EvaluatorSpec]:  # type: ignore[empty-body]
    """What features are good for."""


@hookspec
def sslbench_simulators() -> list[SimulatorSpec]:  # type: ignore[empty-body]
    """Small studies without training."""


@hookspec
def sslbench_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Splits of images, with what is known of them."""


@hookspec
def sslbench_backbones() -> list[BackboneSpec]:  # type: ignore[empty-body]
    """Networks with a feature size; token backbones also give patches and blocks."""


@hookspec
def sslbench_executors() -> list[ExecutorSpec]:  # type: ignore[empty-body]
    """Where work runs."""


@hookspec
def sslbench_run_started(suite: str, cells: int, out: str) -> None:
    """A run begins: the suite's name, how many cells it will run, and the results folder."""


@hookspec
def sslbench_record_written(record: Mapping[str, Any]) -> None:
    """One cell has its record, in the layout of ``run --format json``."""


@hookspec
def sslbench_run_finished(suite: str, statuses: Mapping[str, int]) -> None:
    """A run ends: how many cells have each status."""
