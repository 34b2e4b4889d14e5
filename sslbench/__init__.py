"""sslbench: which self-supervised recipe serves your images best, and what it costs.

This module is the public door: everything a plugin or a script needs is a name of it.
Names are imported when they are first used, so that ``import sslbench`` costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sslbench.claims.simulate import Simulation, simulate
    from sslbench.contracts.augmentation import Augmentation, AugmentationSpec, BatchTransform, ViewKind, ViewRequest
    from sslbench.contracts.backbone import Backbone, BackboneSpec, TimmModel, TokenBackbone
    from sslbench.contracts.dataset import Dataset, DatasetSpec, ImageReader, MapReader, Split
    from sslbench.contracts.evaluator import (
        EvaluatedModel,
        EvaluationData,
        Evaluator,
        EvaluatorSpec,
        FeatureSet,
        FitsHead,
        LinearHead,
        Metric,
    )
    from sslbench.contracts.executor import Emit, Event, Executor, ExecutorSpec, Handle, TrainingSettings, Work
    from sslbench.contracts.masking import Masking, MaskingSpec, masked_count
    from sslbench.contracts.method import InputSpec, Method, MethodSpec, Progress
    from sslbench.contracts.params import MaskingParams, MethodParams, Params, SimulatorParams, param
    from sslbench.contracts.plugin import BuildContext, Spec
    from sslbench.contracts.simulator import (
        Claim,
        SimulationResult,
        Simulator,
        SimulatorSpec,
        across_seeds,
        check_claim,
    )
    from sslbench.errors import PluginError, SslbenchError, UserError
    from sslbench.execute.request import Outcome, Request
    from sslbench.execute.scheduler import run
    from sslbench.execute.worker import run_work
    from sslbench.hooks.specs import hookimpl
    from sslbench.plan.build import build_installed, build_plugin
    from sslbench.plan.suite import Overrides
    from sslbench.train.data import ahead
    from sslbench.train.optimizers import cosine
    from sslbench.train.views import centre_view

_HOME = {
    "claims.simulate": "Simulation simulate",
    "contracts.augmentation": "Augmentation AugmentationSpec BatchTransform ViewKind ViewRequest",
    "contracts.backbone": "Backbone BackboneSpec TimmModel TokenBackbone",
    "contracts.dataset": "Dataset DatasetSpec ImageReader MapReader Split",
    "contracts.evaluator": (
        "EvaluatedModel EvaluationData Evaluator EvaluatorSpec FeatureSet FitsHead LinearHead Metric"
    ),
    "contracts.executor": "Emit Event Executor ExecutorSpec Handle TrainingSettings Work",
    "contracts.masking": "Masking MaskingSpec masked_count",
    "contracts.method": "InputSpec Method MethodSpec Progress",
    "contracts.params": "MaskingParams MethodParams Params SimulatorParams param",
    "contracts.plugin": "BuildContext Spec",
    "contracts.simulator": "Claim SimulationResult Simulator SimulatorSpec across_seeds check_claim",
    "errors": "PluginError SslbenchError UserError",
    "execute.request": "Outcome Request",
    "execute.scheduler": "run",
    "execute.worker": "run_work",
    "hooks.specs": "hookimpl",
    "plan.build": "build_installed build_plugin",
    "plan.suite": "Overrides",
    "train.data": "ahead",
    "train.optimizers": "cosine",
    "train.views": "centre_view",
}
_WHERE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Augmentation",
    "AugmentationSpec",
    "Backbone",
    "BackboneSpec",
    "BatchTransform",
    "BuildContext",
    "Claim",
    "Dataset",
    "DatasetSpec",
    "Emit",
    "EvaluatedModel",
    "EvaluationData",
    "Evaluator",
    "EvaluatorSpec",
    "Event",
    "Executor",
    "ExecutorSpec",
    "FeatureSet",
    "FitsHead",
    "Handle",
    "ImageReader",
    "InputSpec",
    "LinearHead",
    "MapReader",
    "Masking",
    "MaskingParams",
    "MaskingSpec",
    "Method",
    "MethodParams",
    "MethodSpec",
    "Metric",
    "Outcome",
    "Overrides",
    "Params",
    "PluginError",
    "Progress",
    "Request",
    "Simulation",
    "SimulationResult",
    "Simulator",
    "SimulatorParams",
    "SimulatorSpec",
    "Spec",
    "Split",
    "SslbenchError",
    "TimmModel",
    "TokenBackbone",
    "TrainingSettings",
    "UserError",
    "ViewKind",
    "ViewRequest",
    "Work",
    "across_seeds",
    "ahead",
    "build_installed",
    "build_plugin",
    "centre_view",
    "check_claim",
    "cosine",
    "hookimpl",
    "masked_count",
    "param",
    "run",
    "run_work",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sslbench")
    if name not in _WHERE:
        raise AttributeError(f"module 'sslbench' has no attribute {name!r}")
    value = getattr(import_module(f"sslbench.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
