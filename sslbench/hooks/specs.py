"""The pluggy hooks: one for each kind, and three for observers. None is called inside the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from sslbench.contracts.plugin import Spec

hookspec = pluggy.HookspecMarker("sslbench")
hookimpl = pluggy.HookimplMarker("sslbench")


@hookspec
def sslbench_augmentations() -> list[Spec]:  # type: ignore[empty-body]
    """``AugmentationSpec``: distributions over single views, on whole batches."""


@hookspec
def sslbench_methods() -> list[Spec]:  # type: ignore[empty-body]
    """``MethodSpec``: ways to train an encoder without labels, and baselines."""


@hookspec
def sslbench_maskings() -> list[Spec]:  # type: ignore[empty-body]
    """``MaskingSpec``: which patches of a grid are masked."""


@hookspec
def sslbench_evaluators() -> list[Spec]:  # type: ignore[empty-body]
    """``EvaluatorSpec``: what features are good for."""


@hookspec
def sslbench_simulators() -> list[Spec]:  # type: ignore[empty-body]
    """``SimulatorSpec``: small studies without training."""


@hookspec
def sslbench_datasets() -> list[Spec]:  # type: ignore[empty-body]
    """``DatasetSpec``: splits of images, with what is known of them."""


@hookspec
def sslbench_backbones() -> list[Spec]:  # type: ignore[empty-body]
    """``BackboneSpec``: networks with a feature size; token backbones also give patches and blocks."""


@hookspec
def sslbench_executors() -> list[Spec]:  # type: ignore[empty-body]
    """``ExecutorSpec``: where work runs."""


@hookspec
def sslbench_run_started(suite: str, cells: int, out: str) -> None:
    """A run begins: the suite's name, how many cells it will run, and the results folder."""


@hookspec
def sslbench_record_written(record: Mapping[str, Any]) -> None:
    """One cell has its record, in the layout of ``run --format json``."""


@hookspec
def sslbench_run_finished(suite: str, statuses: Mapping[str, int]) -> None:
    """A run ends: how many cells have each status."""
