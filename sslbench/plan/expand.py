"""From a suite to its cells: cross the axes, merge what is equal, skip what does not work together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from sslbench.contracts.augmentation import AugmentationSpec
from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.contracts.executor import TrainingSettings
from sslbench.contracts.masking import MaskingSpec
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import Axes, auto_augmentations, empty_axes, long_warmups, read_axes, read_curve, recommended
from sslbench.plan.cell import Cell, Choice, Pretraining
from sslbench.plan.compatibility import incompatible, incompatible_evaluator
from sslbench.plan.identity import harness_identity
from sslbench.plan.suite import Overrides, RawSuite, check_layout, overridden

if TYPE_CHECKING:
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.method import MethodSpec


@dataclass(frozen=True)
class Suite:
    """A suite with every plugin looked up and every parameter checked."""

    name: str  # of the file or of the built-in suite, with its size
    axes: Axes  # axis -> choices; None stands for ``auto``
    seeds: tuple[int, ...]  # each once
    training: TrainingSettings  # the same for all cells
    defaults: Mapping[str, Choice[AugmentationSpec]] = field(default_factory=dict)
    """augmentations that ``auto`` may mean, by name"""
    curve: tuple[Choice[EvaluatorSpec], ...] = ()  # evaluators that run during training

    @property
    def methods(self) -> tuple[Choice[MethodSpec], ...]:
        """The axis ``method``."""
        return tuple(filter(None, self.axes["method"]))

    @property
    def datasets(self) -> tuple[Choice[DatasetSpec], ...]:
        """The axis ``dataset``."""
        return tuple(filter(None, self.axes["dataset"]))

    @property
    def evaluators(self) -> tuple[Choice[EvaluatorSpec], ...]:
        """The axis ``evaluator``."""
        return tuple(filter(None, self.axes["evaluator"]))


def resolve_suite(raw: RawSuite, overrides: Overrides, registry: Registry) -> Suite:
    """Check everything at once. Raises UserError with one line for each mistake, and nothing has run."""
    raw = overridden(raw, overrides)
    layout, mistakes = check_layout(raw)
    training = layout.training if layout else TrainingSettings()
    axes, unknown = read_axes(raw, overrides, registry, training.preset)
    warmups = long_warmups(axes["method"], training.epochs) if layout else []
    defaults, unknown_defaults = auto_augmentations(axes, registry, training.preset)
    curve, unknown_curve = read_curve(raw, training, registry)
    mistakes += [*unknown, *warmups, *unknown_defaults, *unknown_curve]
    if not mistakes:
        mistakes = empty_axes(raw, axes)
    if mistakes or layout is None:
        raise UserError(*dict.fromkeys(mistakes))
    seeds = tuple(dict.fromkeys(layout.seeds))
    return Suite(layout.name or raw.name, axes, seeds, training, defaults, curve)


def expand(suite: Suite) -> list[Cell]:
    """All cells of a suite, cells of one pretraining next to each other, skipped ones with their reason."""
    unique: dict[str, Pretraining] = {}
    for pretraining in pretrainings(suite):
        unique.setdefault(pretraining.key, pretraining)
    cells: list[Cell] = []
    for pretraining in unique.values():
        reason = incompatible(pretraining.method, pretraining.backbone, pretraining.dataset)
        for evaluator in suite.evaluators:
            cells.append(Cell(pretraining, evaluator, reason or incompatible_evaluator(evaluator, pretraining)))
    return cells


def pretrainings(suite: Suite) -> Iterator[Pretraining]:
    """Every combination of data set, seed, method and what the method uses, in the suite's order."""
    harness = harness_identity()
    weights = [fingerprint_of(method) for method in suite.methods]
    for dataset in suite.datasets:
        fingerprint = dataset.spec.fingerprint(dataset.params)
        for seed, (method, method_weights) in product(suite.seeds, zip(suite.methods, weights, strict=True)):
            for backbone, augmentation, masking in combinations(suite, method, dataset):
                yield Pretraining(
                    method=method,
                    dataset=dataset,
                    backbone=backbone,
                    augmentation=augmentation,
                    masking=masking,
                    seed=seed,
                    training=suite.training,
                    fingerprint=fingerprint,
                    harness=harness,
                    weights=method_weights,
                    curve=suite.curve,
                )


def fingerprint_of(method: Choice[MethodSpec]) -> str:
    """Of the files that a method reads; empty for most."""
    return method.spec.fingerprint(method.params) if method.spec.fingerprint else ""


Combination = tuple["Choice[BackboneSpec] | None", "Choice[AugmentationSpec] | None", "Choice[MaskingSpec] | None"]


def combinations(suite: Suite, method: Choice[MethodSpec], dataset: Choice[DatasetSpec]) -> Iterator[Combination]:
    """(backbone, augmentation, masking); an axis that the method does not use is None, once."""

    def axis(name: str) -> Sequence[Choice[Any] | None]:
        return suite.axes[name] if name in method.spec.uses else [None]

    auto = suite.defaults.get(recommended(dataset.spec, method.spec)) if "augmentation" in method.spec.uses else None
    augmentations = [choice or auto for choice in axis("augmentation")]
    return product(axis("backbone"), augmentations, axis("masking"))
