"""sslbench: which self-supervised recipe serves your images best, and what it costs.

This module is the public door: everything a plugin or a script needs is a name of it.
Names are imported when they are first used, so that ``import sslbench`` costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sslbench.errors import PluginError, SslbenchError, UserError
    from sslbench.execute.executor import Event, Handle, Work
    from sslbench.execute.scheduler import Outcome, Request, run
    from sslbench.execute.simulate import Simulation, simulate
    from sslbench.execute.worker import run_work
    from sslbench.hooks.claims import across_seeds, judge_claim
    from sslbench.hooks.contracts import (
        Augmentation,
        Claim,
        Dataset,
        EvaluationData,
        FeatureSet,
        FitsHead,
        JudgedInput,
        JudgedModel,
        LinearHead,
        Masking,
        Metric,
        Progress,
        SimulationResult,
        Split,
        TimmModel,
        ViewRequest,
        hidden_count,
    )
    from sslbench.hooks.kinds import (
        AugmentationSpec,
        BackboneSpec,
        DatasetSpec,
        EvaluatorSpec,
        ExecutorSpec,
        MaskingSpec,
        MethodSpec,
        SimulatorSpec,
    )
    from sslbench.hooks.params import MaskingParams, MethodParams, Params, SimulatorParams, param
    from sslbench.hooks.specs import hookimpl
    from sslbench.plan.build import build_installed, build_plugin
    from sslbench.plan.expand import Overrides
    from sslbench.train.ahead import ahead
    from sslbench.train.models import Backbone, Method, TokenBackbone
    from sslbench.train.schedules import cosine
    from sslbench.train.views import centre_view

_HOME = {
    "errors": "PluginError SslbenchError UserError",
    "execute.executor": "Event Handle Work",
    "execute.scheduler": "Outcome Request run",
    "execute.simulate": "Simulation simulate",
    "plan.build": "build_installed build_plugin",
    "plan.expand": "Overrides",
    "execute.worker": "run_work",
    "hooks.claims": "across_seeds judge_claim",
    "hooks.contracts": "Augmentation Claim Dataset EvaluationData FeatureSet FitsHead JudgedInput JudgedModel"
    " LinearHead Masking Metric Progress SimulationResult Split TimmModel ViewRequest hidden_count",
    "hooks.kinds": "AugmentationSpec BackboneSpec DatasetSpec EvaluatorSpec ExecutorSpec MaskingSpec"
    " MethodSpec SimulatorSpec",
    "hooks.params": "MaskingParams MethodParams Params SimulatorParams param",
    "hooks.specs": "hookimpl",
    "train.ahead": "ahead",
    "train.models": "Backbone Method TokenBackbone",
    "train.schedules": "cosine",
    "train.views": "centre_view",
}
_WHERE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Augmentation",
    "AugmentationSpec",
    "Backbone",
    "BackboneSpec",
    "Claim",
    "Dataset",
    "DatasetSpec",
    "EvaluationData",
    "EvaluatorSpec",
    "Event",
    "ExecutorSpec",
    "FeatureSet",
    "FitsHead",
    "Handle",
    "JudgedInput",
    "JudgedModel",
    "LinearHead",
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
    "SimulatorParams",
    "SimulatorSpec",
    "Split",
    "SslbenchError",
    "TimmModel",
    "TokenBackbone",
    "UserError",
    "ViewRequest",
    "Work",
    "across_seeds",
    "ahead",
    "build_installed",
    "build_plugin",
    "centre_view",
    "cosine",
    "hidden_count",
    "hookimpl",
    "judge_claim",
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
