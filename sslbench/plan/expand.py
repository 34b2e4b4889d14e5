"""From a suite to its cells: cross the axes, merge what is equal, skip what does not work together, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from sslbench.contracts.augmentation import AugmentationSpec
from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.contracts.executor import TrainingSettings
from sslbench.contracts.masking import MaskingSpec
from sslbench.errors import UserError, quoted
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import (
    Axes,
    Defaults,
    auto_choices,
    empty_axes,
    long_warmups,
    read_axes,
    read_curve,
    recommended,
    training_of,
)
from sslbench.plan.cell import Cell, Choice, Pretraining, files_of
from sslbench.plan.identity import harness_identity
from sslbench.plan.presets import preset_takers
from sslbench.plan.seeds import seeds_of
from sslbench.plan.suite import Overrides, RawSuite, overridden, read_layout

if TYPE_CHECKING:
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.method import MethodSpec

OF_DATA = frozenset({"labels", "factors", "mask", "depth"})  # what only a data set can provide
MOST_CELLS = 100_000  # of one suite


@dataclass(frozen=True)
class Suite:
    """A suite with every plugin looked up and every parameter checked."""

    name: str  # of the file or of the built-in suite, with its size
    axes: Axes  # axis -> choices; None stands for ``auto``
    seeds: tuple[int, ...]  # each once
    training: TrainingSettings  # the same for all cells, but for the epochs of a method that has its own
    defaults: Defaults = field(default_factory=dict)  # what ``auto`` may mean
    curve: tuple[Choice[EvaluatorSpec], ...] = ()  # evaluators that run during training
    notes: tuple[str, ...] = ()  # what the user should know beside the result


def resolve_suite(raw: RawSuite, overrides: Overrides, registry: Registry) -> Suite:
    """Check everything at once. Raises UserError with one line for each mistake, and nothing has run."""
    layout, mistakes = read_layout(raw)
    training, wrong = overridden(layout.training, overrides)
    mistakes += wrong
    seeds = layout.seeds
    if overrides.seeds is not None:
        try:
            seeds = seeds_of(list(overrides.seeds))
        except ValueError as error:
            mistakes.append(f"command line: seeds = {quoted(overrides.seeds)}: {error}")
    axes, unknown = read_axes(raw, overrides, registry, training.preset)
    defaults, unknown_defaults = auto_choices(axes, registry, training.preset)
    curve, unknown_curve = read_curve(raw, training, registry)
    mistakes += [*unknown, *unknown_defaults, *unknown_curve]
    mistakes += empty_axes(raw, overrides, axes)
    more = [choice.spec for choice in (*defaults.values(), *curve)]
    takers, nobody = preset_takers(raw, overrides, training.preset, more, registry)
    suite = Suite(layout.name or raw.name, axes, seeds, training, defaults, curve, takers)
    mistakes += [*nobody, *too_many_cells(raw, suite)]
    if not nobody and not any("training.epochs" in line for line in mistakes):
        mistakes += long_warmups(axes["method"], training)
    if mistakes:
        raise UserError(*dict.fromkeys(mistakes))
    return suite


def too_many_cells(raw: RawSuite, suite: Suite) -> list[str]:
    """One line where the cross product is larger than ``MOST_CELLS``, whatever of it is equal or skipped."""
    of_methods = (prod(len(suite.axes[axis]) for axis in method.spec.uses) for method in suite.axes["method"] if method)
    count = sum(of_methods) * len(suite.axes["dataset"]) * len(suite.axes["evaluator"]) * len(suite.seeds)
    words = f"{raw.source}: the axes and seeds cross to {count:,} cells; allowed: at most {MOST_CELLS:,} in one suite"
    return [words] if count > MOST_CELLS else []


def expand(suite: Suite) -> list[Cell]:
    """All cells of a suite, cells of one pretraining next to each other, skipped ones with their reason."""
    unique: dict[str, Pretraining] = {}
    for pretraining in pretrainings(suite):
        unique.setdefault(pretraining.key, pretraining)
    cells: list[Cell] = []
    for pretraining in unique.values():
        reason = incompatible(pretraining.method, pretraining.backbone, pretraining.dataset)
        reason = reason or incompatible_views(pretraining.method, pretraining.augmentation)
        for evaluator in filter(None, suite.axes["evaluator"]):
            cells.append(Cell(pretraining, evaluator, reason or incompatible_evaluator(evaluator, pretraining)))
    return cells


def pretrainings(suite: Suite) -> Iterator[Pretraining]:
    """Every combination of data set, seed, method and what the method uses, in the suite's order."""
    harness = harness_identity()
    for dataset in filter(None, suite.axes["dataset"]):
        data = dataset.spec.fingerprint(dataset.params)
        for seed, method in product(suite.seeds, filter(None, suite.axes["method"])):
            training = training_of(method, suite.training)
            for axes in combinations(suite, method, dataset):
                files = files_of([method, dataset, *axes])
                yield Pretraining(method, dataset, *axes, seed, training, data, harness, files, suite.curve)


def single(
    method: Choice[MethodSpec],
    dataset: Choice[DatasetSpec],
    backbone: Choice[BackboneSpec] | None,
    training: TrainingSettings,
    seed: int,
) -> Pretraining:
    """What all evaluations of one combination share, without a suite; ``training`` has device and precision resolved.
    ``backbone`` is ignored where the method uses none. Raises UserError where the plugins do not work together."""
    used = backbone if "backbone" in method.spec.uses else None
    if reason := incompatible(method, used, dataset):
        raise UserError(reason)
    data = dataset.spec.fingerprint(dataset.params)
    files = files_of([method, dataset, used])
    return Pretraining(method, dataset, used, None, None, seed, training, data, harness_identity(), files)


Combination = tuple["Choice[BackboneSpec] | None", "Choice[AugmentationSpec] | None", "Choice[MaskingSpec] | None"]


def combinations(suite: Suite, method: Choice[MethodSpec], dataset: Choice[DatasetSpec]) -> Iterator[Combination]:
    """(backbone, augmentation, masking); an axis that the method does not use is None, once."""

    def axis(name: str) -> Sequence[Choice[Any] | None]:
        return suite.axes[name] if name in method.spec.uses else [None]

    def filled(name: str) -> list[Choice[Any] | None]:
        auto = suite.defaults.get((name, recommended(name, dataset, method)))
        return [choice or auto if name in method.spec.uses else None for choice in axis(name)]

    return product(axis("backbone"), filled("augmentation"), filled("masking"))


def incompatible(
    method: Choice[MethodSpec], backbone: Choice[BackboneSpec] | None, dataset: Choice[DatasetSpec] | None = None
) -> str | None:
    """Why a method cannot work with a backbone or a data set, or None."""
    if dataset is not None and method.spec.uses_labels and "labels" not in dataset.spec.provided(dataset.params):
        return f"{method.name} trains on labels; data set {dataset.name} has none"
    if backbone and (missing := method.spec.needs - backbone.spec.provided(backbone.params)):
        return f"{method.name} needs a backbone with {', '.join(sorted(missing))}; {backbone.name} has none"
    return None


def incompatible_views(method: Choice[MethodSpec], augmentation: Choice[AugmentationSpec] | None) -> str | None:
    """Why an augmentation cannot serve a method, or None."""
    asked = method.spec.asked_views(method.params)
    if augmentation and (missing := asked - augmentation.spec.view_kinds):
        return f"{method.name} asks for {', '.join(sorted(missing))} views; augmentation {augmentation.name} makes none"
    return None


def incompatible_evaluator(evaluator: Choice[EvaluatorSpec], pretraining: Pretraining) -> str | None:
    """Why an evaluator cannot be run on a pretraining, or None."""
    dataset, method, backbone = pretraining.dataset, pretraining.method, pretraining.backbone
    of_dataset = dataset.spec.provided(dataset.params)
    needed_of_data = evaluator.spec.needs & (OF_DATA | of_dataset)
    if missing := needed_of_data - of_dataset:
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; data set {dataset.name} has none"
    of_model = method.spec.provided(method.params)
    if backbone is not None:
        of_model |= {"encoder"} | backbone.spec.provided(backbone.params)
    if missing := evaluator.spec.needs - needed_of_data - of_model:
        model = f"{method.name} on {backbone.name}" if backbone else method.name
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; {model} has none"
    return None
