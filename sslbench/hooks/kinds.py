"""The eight kinds of plugin, and the spec of each: the small frozen object that a hook answers for one named thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sslbench.hooks.params import MaskingParams, MethodParams, Params, SimulatorParams

if TYPE_CHECKING:
    from sslbench.hooks.contracts import Augmentation, Dataset, Evaluator, Masking, Simulator

Words = frozenset[str]
NOTHING: Words = frozenset()


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every kind says of itself."""

    kind: ClassVar[str]
    name: str
    summary: str
    """one line"""
    build: Callable[..., Any]
    params: type[Params] = Params
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """named sets of parameters, chosen with ``NAME:preset=...`` or by a suite"""
    citation: str = ""
    """paper, section; or where the definition is from"""

    @property
    def label(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Spec):
    """``build(params) -> Augmentation``."""

    kind: ClassVar[str] = "augmentation"
    build: Callable[[Any], Augmentation]


@dataclass(frozen=True, kw_only=True)
class MaskingSpec(Spec):
    """``build(params) -> Masking``. The ratio in ``params`` is passed to ``sample`` by the harness."""

    kind: ClassVar[str] = "masking"
    build: Callable[[Any], Masking]
    params: type[MaskingParams] = MaskingParams


@dataclass(frozen=True, kw_only=True)
class MethodSpec(Spec):
    """``build(params, *, backbone, image_size, mask_ratio) -> Method`` (``sslbench.Method``).

    ``backbone`` is None for a method that does not use one, ``mask_ratio`` None for one that masks nothing.
    One that has ``fetches`` is also given ``download``: whether the user allowed fetching.
    """

    kind: ClassVar[str] = "method"
    params: type[MethodParams] | type[Params] = MethodParams
    uses: Words = frozenset({"backbone", "augmentation"})
    """which axes make a difference: of ``backbone``, ``augmentation``, ``masking``. It appears once, not once
    for each point of an axis it does not use."""
    needs: Words = NOTHING
    """what the backbone must provide, such as ``tokens``"""
    provides: Words | Callable[[Any], Words] = NOTHING
    """what evaluators may need beyond what the backbone provides, such as ``reconstruction``; ``encoder``, ``tokens``
    and ``attention`` where the method brings a network of its own. A function of the parameters where it depends on
    them"""
    trains: bool = True
    """False for a method that takes no training step"""
    uses_labels: bool = False
    """True: ``build`` is also given ``classes``, the number of classes, and ``forward`` the batch's ``labels``"""
    augmentation: str = "none"
    """the paper's augmentation: what ``auto`` means where the data set recommends none"""
    fingerprint: Callable[[Any], str] | None = None
    """for a method that reads files: parameters -> a short text that changes when their content does; empty where
    the parameters say it all. Raises UserError where a file is missing"""
    fetches: Callable[[Any], str] | None = None
    """for a method that may need the network: parameters -> what would have to be fetched, in words; empty where
    everything is on this machine"""

    def provided(self, params: Params) -> Words:
        return self.provides(params) if callable(self.provides) else self.provides


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """``build(params, *, image_size) -> Backbone`` (``sslbench.Backbone`` or ``sslbench.TokenBackbone``).

    One that has ``fetches`` is also given ``download``: whether the user allowed fetching.
    """

    kind: ClassVar[str] = "backbone"
    provides: Words | Callable[[Any], Words] = NOTHING
    """``tokens``, and ``attention`` where it has a class token; a function of the parameters where it depends on
    them. Every backbone also provides ``encoder``, a network that can be trained on"""
    fetches: Callable[[Any], str] | None = None
    """for a backbone that may need the network: as in ``MethodSpec``"""

    def provided(self, params: Params) -> Words:
        return self.provides(params) if callable(self.provides) else self.provides


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """``build(params, *, download) -> Dataset``; ``download`` says whether the user allowed fetching."""

    kind: ClassVar[str] = "dataset"
    build: Callable[..., Dataset]
    fingerprint: Callable[[Any], str]
    """parameters -> a short text that changes when the data does; must not read every image"""
    provides: Words | Callable[[Any], Words] = frozenset({"labels"})
    """of ``labels``, ``factors``, and the names of its maps, such as ``mask`` and ``depth``; a function of the
    parameters where it depends on them"""
    recommends: Mapping[str, str] = field(default_factory=dict)
    """what ``auto`` means on this data set, by axis, such as ``{"augmentation": "affine"}``"""

    def provided(self, params: Params) -> Words:
        return self.provides(params) if callable(self.provides) else self.provides


@dataclass(frozen=True, kw_only=True)
class EvaluatorSpec(Spec):
    """``build(params) -> Evaluator``."""

    kind: ClassVar[str] = "evaluator"
    build: Callable[[Any], Evaluator]
    needs: Words = frozenset({"labels"})
    """what the data set, the backbone or the method must provide: ``labels``, ``factors``, ``mask``, ``depth``;
    ``encoder``, ``tokens``, ``attention``; ``reconstruction``"""
    uses_model: bool = False
    """True: it is also given the model and the images (``EvaluationData.model``), not features alone"""
    headline: str | Callable[[Any], str] = ""
    """the metric to rank by; a function of the parameters where its name depends on them"""

    def ranked_by(self, params: Params) -> str:
        return self.headline(params) if callable(self.headline) else self.headline


@dataclass(frozen=True, kw_only=True)
class SimulatorSpec(Spec):
    """``build(params) -> Simulator``."""

    kind: ClassVar[str] = "simulator"
    build: Callable[[Any], Simulator]
    params: type[Params] = SimulatorParams


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """``build(params) -> Executor`` (``sslbench.execute.executor``)."""

    kind: ClassVar[str] = "executor"


def consent(spec: Spec, download: bool) -> dict[str, bool]:
    """What ``build`` of a method or backbone that may need the network is also given; nothing for any other plugin."""
    return {"download": download} if getattr(spec, "fetches", None) else {}


SPEC_OF_HOOK: dict[str, type[Spec]] = {
    "sslbench_augmentations": AugmentationSpec,
    "sslbench_methods": MethodSpec,
    "sslbench_maskings": MaskingSpec,
    "sslbench_evaluators": EvaluatorSpec,
    "sslbench_simulators": SimulatorSpec,
    "sslbench_datasets": DatasetSpec,
    "sslbench_backbones": BackboneSpec,
    "sslbench_executors": ExecutorSpec,
}
