"""From a suite to its cells: look every plugin up, cross the axes, merge what is equal, skip what makes no sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Cell, Choice, Pretraining
from sslbench.plan.choose import look_up
from sslbench.plan.compatibility import incompatible, incompatible_evaluator
from sslbench.plan.identity import harness_identity
from sslbench.plan.reference import Reference, parse_reference, read_reference
from sslbench.plan.suite import AXES, RawSuite, check_layout


@dataclass(frozen=True)
class Overrides:
    """What the command line puts in the place of the suite's words."""

    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """axis -> references; replaces that axis"""
    seeds: Sequence[int] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """A suite with every plugin found and every parameter checked."""

    name: str
    axes: Mapping[str, tuple[Choice[Any] | None, ...]]
    """axis -> choices; None stands for ``auto``"""
    seeds: tuple[int, ...]
    training: TrainingSettings
    registry: Registry
    defaults: Mapping[str, Choice[Any]]
    """augmentations that ``auto`` may mean, by name"""
    curve: tuple[Choice[Any], ...] = ()
    """evaluators that run during training"""


def resolve_suite(raw: RawSuite, overrides: Overrides, registry: Registry) -> Suite:
    """Check everything at once. Raises UserError with one line for each mistake, and nothing has run."""
    data = dict(raw.data)
    if overrides.training:
        data["training"] = {**dict(data.get("training") or {}), **overrides.training}
    if overrides.seeds is not None:
        data["seeds"] = list(overrides.seeds)
    layout, mistakes = check_layout(RawSuite(raw.name, raw.source, data))
    written = data.get("axes")
    axes = dict(written) if isinstance(written, Mapping) else {}
    mistakes += [
        f"{raw.source}: unknown axis 'axes.{name}' (allowed: {', '.join(AXES)})" for name in axes if name not in AXES
    ]
    training = layout.training if layout else TrainingSettings()
    chosen: dict[str, tuple[Choice[Any] | None, ...]] = {}
    for axis in AXES:
        references, wrong = read_axis(raw, axes, axis, overrides)
        mistakes += wrong
        found, wrong = look_up(axis, references, registry, training.preset)
        mistakes += wrong
        mistakes += long_warmups(found, training.epochs) if layout and axis == "method" else []
        chosen[axis] = found
    defaults, wrong = auto_augmentations(chosen, registry, training.preset)
    mistakes += wrong
    curve, wrong = read_curve(raw, training, registry)
    mistakes += wrong
    if layout is not None and not mistakes:
        mistakes += empty_axes(raw, chosen)
    if mistakes or layout is None:
        raise UserError(*dict.fromkeys(mistakes))
    seeds = tuple(dict.fromkeys(layout.seeds))
    return Suite(layout.name or raw.name, chosen, seeds, training, registry, defaults, curve)


def read_curve(
    raw: RawSuite, training: TrainingSettings, registry: Registry
) -> tuple[tuple[Choice[Any], ...], list[str]]:
    """The evaluators that run during training, none without ``curve_every``; and one line per mistake."""
    where = f"{raw.source}: training.curve"
    if not training.curve_every:
        unused = "curve" in training.model_fields_set
        return (), [f"{where} is given, but curve_every = 0 asks for no curve; set curve_every"] if unused else []
    references: list[Reference] = []
    mistakes: list[str] = []
    for place, item in enumerate(training.curve):
        try:
            references.append(read_reference(item, f"{where}[{place}]"))
        except UserError as error:
            mistakes += error.messages
    names = [reference.name for reference in references]
    mistakes += [f"{where} names evaluator {name!r} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    found, wrong = look_up("evaluator", references, registry, training.preset)
    return tuple(filter(None, found)), mistakes + wrong


def long_warmups(methods: Sequence[Choice[Any] | None], epochs: int) -> list[str]:
    """One line per warm-up that would not end within the training, be it asked for, a preset's or the paper's."""
    return [
        f"{method.spec.label}: {key} = {value:g} is longer than the training (epochs = {epochs}); allowed: 0 to"
        f" {epochs}, as in -m {method.name}:{key}=0"
        for method in methods
        if method is not None
        for key, value in method.params
        if key.endswith("warmup_epochs") and isinstance(value, (int, float)) and value > epochs > 0
    ]


def read_axis(
    raw: RawSuite, axes: Mapping[str, Any], axis: str, overrides: Overrides
) -> tuple[list[Reference], list[str]]:
    """The references of one axis, from the command line if it names any, else from the suite."""
    given = overrides.axes.get(axis)
    if given:
        items: list[tuple[object, str]] = [(text, f"--{axis}") for text in given]
    else:
        written = axes.get(axis, [])
        if not isinstance(written, list):
            return [], []  # the layout check has said so
        items = [(item, f"{raw.source}: axes.{axis}[{place}]") for place, item in enumerate(written)]
    references: list[Reference] = []
    mistakes: list[str] = []
    for item, where in items:
        try:
            references.append(
                parse_reference(item, where) if given and isinstance(item, str) else read_reference(item, where)
            )
        except UserError as error:
            mistakes += error.messages
    return references, mistakes


def auto_augmentations(
    chosen: Mapping[str, tuple[Choice[Any] | None, ...]], registry: Registry, preset: str
) -> tuple[dict[str, Choice[Any]], list[str]]:
    """The augmentations that ``auto`` stands for with these data sets and methods."""
    if None not in chosen["augmentation"]:
        return {}, []
    names = [
        recommended(dataset.spec, method.spec)
        for dataset, method in product(chosen["dataset"], chosen["method"])
        if dataset is not None and method is not None
    ]
    found, mistakes = look_up(
        "augmentation", [Reference(n, {}, "auto") for n in dict.fromkeys(names)], registry, preset
    )
    return {choice.name: choice for choice in found if choice is not None}, mistakes


def recommended(dataset: Any, method: Any) -> str:
    """What ``auto`` means for one data set and method."""
    return str(dataset.recommends.get("augmentation") or method.augmentation)


def empty_axes(raw: RawSuite, chosen: Mapping[str, tuple[Choice[Any] | None, ...]]) -> list[str]:
    """One line per axis that needs an entry and has none."""
    needed = ["method", "dataset", "evaluator"]
    used = {axis for choice in chosen["method"] if choice for axis in choice.spec.uses}
    needed += [axis for axis in ("backbone", "augmentation", "masking") if axis in used]
    return [
        f"{raw.source}: axis {axis!r} is empty; name at least one (see: sslbench list {axis})"
        for axis in needed
        if not chosen[axis]
    ]


def expand(suite: Suite) -> list[Cell]:
    """All cells of a suite, cells of one pretraining next to each other, skipped ones with their reason."""
    harness = harness_identity()
    weights = {id(method): fingerprint_of(method) for method in filter(None, suite.axes["method"])}
    cells: list[Cell] = []
    seen: set[str] = set()
    for dataset in filter(None, suite.axes["dataset"]):
        fingerprint = dataset.spec.fingerprint(dataset.params)
        for seed in suite.seeds:
            for combination in combinations(suite, dataset):
                method, backbone, augmentation, masking = combination
                shared = Pretraining(
                    method,
                    dataset,
                    backbone,
                    augmentation,
                    masking,
                    seed,
                    suite.training,
                    fingerprint,
                    harness,
                    weights[id(method)],
                    suite.curve,
                )
                if shared.key in seen:
                    continue
                seen.add(shared.key)
                reason = incompatible(method, backbone, dataset)
                for evaluator in filter(None, suite.axes["evaluator"]):
                    cells.append(Cell(shared, evaluator, reason or incompatible_evaluator(evaluator, shared)))
    return cells


def fingerprint_of(method: Choice[Any]) -> str:
    """Of the files that a method reads; empty for most."""
    return method.spec.fingerprint(method.params) if method.spec.fingerprint else ""


def combinations(
    suite: Suite, dataset: Choice[Any]
) -> Iterator[tuple[Choice[Any], Choice[Any] | None, Choice[Any] | None, Choice[Any] | None]]:
    """(method, backbone, augmentation, masking); an axis that a method does not use is None, once."""
    for method in filter(None, suite.axes["method"]):
        uses = method.spec.uses
        auto = suite.defaults.get(recommended(dataset.spec, method.spec))
        augmentations = [choice or auto for choice in suite.axes["augmentation"]]
        for backbone, augmentation, masking in product(
            suite.axes["backbone"] if "backbone" in uses else [None],
            augmentations if "augmentation" in uses else [None],
            suite.axes["masking"] if "masking" in uses else [None],
        ):
            yield method, backbone, augmentation, masking
