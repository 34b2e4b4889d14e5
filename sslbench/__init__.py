"""sslbench: which self-supervised recipe serves your images best, and what it costs.

This module is the public door: everything a plugin or a script needs is a name of it.
Names are imported when they are first used, so that ``import sslbench`` costs nothing and never imports torch.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "as" makes a name public for type checkers; at run time ``_homes`` reads this list
    from sslbench.claims.simulate import Simulation as Simulation
    from sslbench.claims.simulate import simulate as simulate
    from sslbench.contracts.augmentation import Augmentation as Augmentation
    from sslbench.contracts.augmentation import AugmentationSpec as AugmentationSpec
    from sslbench.contracts.augmentation import BatchTransform as BatchTransform
    from sslbench.contracts.augmentation import ViewKind as ViewKind
    from sslbench.contracts.augmentation import ViewRequest as ViewRequest
    from sslbench.contracts.backbone import Backbone as Backbone
    from sslbench.contracts.backbone import BackboneSpec as BackboneSpec
    from sslbench.contracts.backbone import TimmModel as TimmModel
    from sslbench.contracts.backbone import TokenBackbone as TokenBackbone
    from sslbench.contracts.dataset import Dataset as Dataset
    from sslbench.contracts.dataset import DatasetSpec as DatasetSpec
    from sslbench.contracts.dataset import ImageReader as ImageReader
    from sslbench.contracts.dataset import MapReader as MapReader
    from sslbench.contracts.dataset import Split as Split
    from sslbench.contracts.evaluator import EvaluatedModel as EvaluatedModel
    from sslbench.contracts.evaluator import EvaluationData as EvaluationData
    from sslbench.contracts.evaluator import Evaluator as Evaluator
    from sslbench.contracts.evaluator import EvaluatorSpec as EvaluatorSpec
    from sslbench.contracts.evaluator import FeatureSet as FeatureSet
    from sslbench.contracts.evaluator import FitsHead as FitsHead
    from sslbench.contracts.evaluator import LinearHead as LinearHead
    from sslbench.contracts.evaluator import Metric as Metric
    from sslbench.contracts.executor import Emit as Emit
    from sslbench.contracts.executor import Event as Event
    from sslbench.contracts.executor import Executor as Executor
    from sslbench.contracts.executor import ExecutorSpec as ExecutorSpec
    from sslbench.contracts.executor import Handle as Handle
    from sslbench.contracts.executor import TrainingSettings as TrainingSettings
    from sslbench.contracts.executor import Work as Work
    from sslbench.contracts.masking import Masking as Masking
    from sslbench.contracts.masking import MaskingSpec as MaskingSpec
    from sslbench.contracts.masking import masked_count as masked_count
    from sslbench.contracts.method import InputSpec as InputSpec
    from sslbench.contracts.method import Method as Method
    from sslbench.contracts.method import MethodSpec as MethodSpec
    from sslbench.contracts.method import Progress as Progress
    from sslbench.contracts.params import MaskingParams as MaskingParams
    from sslbench.contracts.params import MethodParams as MethodParams
    from sslbench.contracts.params import Params as Params
    from sslbench.contracts.params import SimulatorParams as SimulatorParams
    from sslbench.contracts.params import param as param
    from sslbench.contracts.plugin import BuildContext as BuildContext
    from sslbench.contracts.plugin import Spec as Spec
    from sslbench.contracts.simulator import Claim as Claim
    from sslbench.contracts.simulator import SimulationResult as SimulationResult
    from sslbench.contracts.simulator import Simulator as Simulator
    from sslbench.contracts.simulator import SimulatorSpec as SimulatorSpec
    from sslbench.contracts.simulator import across_seeds as across_seeds
    from sslbench.contracts.simulator import check_claim as check_claim
    from sslbench.errors import PluginError as PluginError
    from sslbench.errors import SslbenchError as SslbenchError
    from sslbench.errors import UserError as UserError
    from sslbench.evaluate.view import centre_view as centre_view
    from sslbench.execute.request import Outcome as Outcome
    from sslbench.execute.request import Request as Request
    from sslbench.execute.scheduler import run as run
    from sslbench.execute.worker import run_work as run_work
    from sslbench.hooks.specs import hookimpl as hookimpl
    from sslbench.plan.choose import build_installed as build_installed
    from sslbench.plan.choose import build_plugin as build_plugin
    from sslbench.plan.suite import Overrides as Overrides
    from sslbench.train.ahead import ahead as ahead
    from sslbench.train.schedules import cosine as cosine


@cache
def _homes() -> dict[str, str]:
    """Public name -> the module that defines it: the imports of the list above, each done when its name is used."""
    import ast
    from pathlib import Path

    nodes = ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.asname: str(node.module) for node in imports for alias in node.names if alias.asname}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sslbench")
    if name == "__all__":
        return __dir__()
    if name.startswith("__") or name not in _homes():
        raise AttributeError(f"module 'sslbench' has no attribute {name!r}")
    value = getattr(import_module(_homes()[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_homes())
