"""sslbench: which self-supervised recipe serves your images best, and what it costs.

This module is the public door: everything a plugin or a script needs is a name of it.
Names are imported when they are first used, so that ``import sslbench`` costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "as" makes a name public for type checkers
    from sslbench.claims.simulate import Simulation as Simulation, simulate as simulate
    from sslbench.contracts.augmentation import (
        Augmentation as Augmentation,
        AugmentationSpec as AugmentationSpec,
        BatchTransform as BatchTransform,
        DrawnTransform as DrawnTransform,
        ViewKind as ViewKind,
        ViewRequest as ViewRequest,
    )
    from sslbench.contracts.backbone import (
        Backbone as Backbone,
        BackboneSpec as BackboneSpec,
        TimmModel as TimmModel,
        TokenBackbone as TokenBackbone,
    )
    from sslbench.contracts.dataset import (
        Dataset as Dataset,
        DatasetSpec as DatasetSpec,
        ImageReader as ImageReader,
        MapReader as MapReader,
        Split as Split,
        SplitName as SplitName,
    )
    from sslbench.contracts.evaluator import (
        EvaluatedModel as EvaluatedModel,
        EvaluationData as EvaluationData,
        Evaluator as Evaluator,
        EvaluatorSpec as EvaluatorSpec,
        FeatureSet as FeatureSet,
        FitsHead as FitsHead,
        LinearHead as LinearHead,
        Metric as Metric,
        Picture as Picture,
        PicturePoints as PicturePoints,
        ShownImages as ShownImages,
    )
    from sslbench.contracts.executor import (
        Emit as Emit,
        Ended as Ended,
        EpochEnded as EpochEnded,
        Event as Event,
        Executor as Executor,
        ExecutorSpec as ExecutorSpec,
        Failure as Failure,
        Handle as Handle,
        PluginChoice as PluginChoice,
        TrainingSettings as TrainingSettings,
        Work as Work,
    )
    from sslbench.contracts.masking import (
        Masking as Masking,
        MaskingSpec as MaskingSpec,
        MaskRequest as MaskRequest,
        TargetMasking as TargetMasking,
        masked_count as masked_count,
    )
    from sslbench.contracts.method import (
        InputSpec as InputSpec,
        Method as Method,
        MethodSpec as MethodSpec,
        Progress as Progress,
    )
    from sslbench.contracts.observer import (
        ObservedPretraining as ObservedPretraining,
        ObservedRun as ObservedRun,
        Observer as Observer,
        ObserverSpec as ObserverSpec,
    )
    from sslbench.contracts.params import (
        MaskingParams as MaskingParams,
        MethodParams as MethodParams,
        Params as Params,
        PathText as PathText,
        SimulatorParams as SimulatorParams,
        param as param,
    )
    from sslbench.contracts.plugin import BuildContext as BuildContext, Spec as Spec
    from sslbench.contracts.simulator import (
        Claim as Claim,
        SimulationResult as SimulationResult,
        Simulator as Simulator,
        SimulatorSpec as SimulatorSpec,
        across_seeds as across_seeds,
        check_claim as check_claim,
    )
    from sslbench.contracts.weights import Licence as Licence, LoadedWeights as LoadedWeights
    from sslbench.draw.canvas import small_images as small_images
    from sslbench.draw.colours import class_colours as class_colours, value_colours as value_colours
    from sslbench.draw.confusion import confusion_matrix as confusion_matrix, most_confused as most_confused
    from sslbench.draw.point_map import point_map as point_map
    from sslbench.draw.tiles import Tile as Tile, TileRow as TileRow, grid as grid, tile_rows as tile_rows
    from sslbench.draw.words import (
        class_words as class_words,
        drawable_names as drawable_names,
        with_names as with_names,
    )
    from sslbench.errors import PluginError as PluginError, SslbenchError as SslbenchError, UserError as UserError
    from sslbench.execute.by_file import WorkFiles as WorkFiles
    from sslbench.execute.event_file import EventFile as EventFile
    from sslbench.execute.events import (
        Printed as Printed,
        RecordMade as RecordMade,
        StageStarted as StageStarted,
        Warned as Warned,
    )
    from sslbench.execute.exits import (
        end_with_parent as end_with_parent,
        how_it_ended as how_it_ended,
        signal_name as signal_name,
    )
    from sslbench.execute.wire import from_line as from_line, to_line as to_line
    from sslbench.execute.worker import run_work as run_work
    from sslbench.hooks.registry import default_registry as default_registry
    from sslbench.hooks.specs import hookimpl as hookimpl
    from sslbench.hooks.user_paths import user_cache as user_cache
    from sslbench.measure.device_errors import is_gpu_fault as is_gpu_fault
    from sslbench.measure.quickest import quickest as quickest
    from sslbench.plan.choose import build_installed as build_installed, build_plugin as build_plugin
    from sslbench.results.results import Results as Results, load as load
    from sslbench.results.run import run as run
    from sslbench.store.artifacts import pretraining_files as pretraining_files
    from sslbench.store.digests import check_if_digested as check_if_digested
    from sslbench.train.feed import ahead as ahead
    from sslbench.train.optimizers import cosine as cosine, scale_each as scale_each
    from sslbench.train.ranks import (
        gathered as gathered,
        mean_over_ranks as mean_over_ranks,
        rank as rank,
        ranks as ranks,
    )
    from sslbench.train.views import centre_view as centre_view

_NAMES = {
    "sslbench.claims.simulate": "Simulation simulate",
    "sslbench.contracts.augmentation": "Augmentation AugmentationSpec BatchTransform DrawnTransform"
    " ViewKind ViewRequest",
    "sslbench.contracts.backbone": "Backbone BackboneSpec TimmModel TokenBackbone",
    "sslbench.contracts.dataset": "Dataset DatasetSpec DeviceReader ImageReader MapReader Split SplitName",
    "sslbench.contracts.evaluator": "EvaluatedModel EvaluationData Evaluator EvaluatorSpec FeatureSet FitsHead"
    " LinearHead Metric Picture PicturePoints ShownImages",
    "sslbench.contracts.executor": "Emit Ended EpochEnded Event Executor ExecutorSpec Failure Handle PluginChoice"
    " TrainingSettings Work",
    "sslbench.contracts.masking": "MaskRequest Masking MaskingSpec TargetMasking masked_count",
    "sslbench.contracts.method": "InputSpec Method MethodSpec Progress",
    "sslbench.contracts.observer": "ObservedPretraining ObservedRun Observer ObserverSpec",
    "sslbench.contracts.params": "MaskingParams MethodParams Params PathText SimulatorParams param",
    "sslbench.contracts.plugin": "BuildContext Spec",
    "sslbench.contracts.simulator": "Claim SimulationResult Simulator SimulatorSpec across_seeds check_claim",
    "sslbench.contracts.weights": "Licence LoadedWeights",
    "sslbench.draw.canvas": "small_images",
    "sslbench.draw.colours": "class_colours value_colours",
    "sslbench.draw.confusion": "confusion_matrix most_confused",
    "sslbench.draw.point_map": "point_map",
    "sslbench.draw.words": "class_words drawable_names with_names",
    "sslbench.draw.tiles": "Tile TileRow grid tile_rows",
    "sslbench.errors": "PluginError SslbenchError UserError",
    "sslbench.execute.by_file": "WorkFiles",
    "sslbench.execute.event_file": "EventFile",
    "sslbench.execute.events": "Printed RecordMade StageStarted Warned",
    "sslbench.execute.exits": "end_with_parent how_it_ended signal_name",
    "sslbench.execute.wire": "from_line to_line",
    "sslbench.execute.worker": "run_work",
    "sslbench.hooks.registry": "default_registry",
    "sslbench.hooks.specs": "hookimpl",
    "sslbench.hooks.user_paths": "user_cache",
    "sslbench.measure.device_errors": "is_gpu_fault",
    "sslbench.measure.quickest": "quickest",
    "sslbench.plan.choose": "build_installed build_plugin",
    "sslbench.results.results": "Results load",
    "sslbench.results.run": "run",
    "sslbench.store.artifacts": "pretraining_files",
    "sslbench.store.digests": "check_if_digested",
    "sslbench.train.feed": "ahead",
    "sslbench.train.optimizers": "cosine scale_each",
    "sslbench.train.ranks": "gathered mean_over_ranks rank ranks",
    "sslbench.train.views": "centre_view",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sslbench")
    if name not in _HOMES:
        raise AttributeError(f"module 'sslbench' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
