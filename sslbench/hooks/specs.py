"""The pluggy hooks: one for each kind. None is called inside the training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
def sslbench_observers() -> list[Spec]:  # type: ignore[empty-body]
    """``ObserverSpec``: trackers and logs that a run reports to."""
