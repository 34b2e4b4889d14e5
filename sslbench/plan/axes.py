"""The axes of a suite: what is written in each, and the plugins that it means. One line for each mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import AUTOMATIC, look_up
from sslbench.plan.meant import key_hint
from sslbench.plan.reference import Reference, read_reference
from sslbench.plan.selected import selected
from sslbench.plan.suite import AXES, Overrides, RawSuite, unknown_axes

MOST_ENTRIES = 10_000  # of one axis
Axes = Mapping[str, tuple[Choice[Any] | None, ...]]  # axis -> its plugins; None stands for ``auto``
Defaults = Mapping[tuple[str, str], Choice[Any]]  # axis and what ``recommended`` says -> the plugin


def read_axes(
    raw: RawSuite, overrides: Overrides, registry: Registry, preset: str
) -> tuple[dict[str, tuple[Choice[Any] | None, ...]], list[str]]:
    """The plugins of every axis, and one line per mistake."""
    written = raw.data.get("axes")
    names = dict(written) if isinstance(written, Mapping) else {}
    mistakes = unknown_axes(raw, "axes", names)
    axes: dict[str, tuple[Choice[Any] | None, ...]] = {}
    for axis in AXES:
        references, unreadable = read_axis(raw, names, axis, overrides, registry)
        axes[axis], wrong = look_up(axis, references, registry, preset, own_epochs=True)
        mistakes += [*unreadable, *wrong]
    if not overrides.axes.get("method") and for_all(raw, overrides):
        axes["method"] = tuple(choice and replace(choice, epochs=None) for choice in axes["method"])
    return axes, mistakes


def for_all(raw: RawSuite, overrides: Overrides) -> bool:
    """Whether epochs are given for every method, so that those beside a method of the suite do not count."""
    return raw.epochs_for_all or "epochs" in overrides.training


def read_axis(
    raw: RawSuite, axes: Mapping[str, Any], axis: str, overrides: Overrides, registry: Registry
) -> tuple[list[Reference], list[str]]:
    """The references of one axis, from the command line if it names any, else from the suite; one line per mistake."""
    written, named = axes.get(axis, []), overrides.axes.get(axis, ())
    suite = written if isinstance(written, (list, tuple)) else []  # anything else read_layout reports
    where = f"--{axis}" if named else f"{raw.source}: axes.{axis}"
    if len(named or suite) > MOST_ENTRIES:
        return [], [f"{where} has {len(named or suite):,} entries; allowed: at most {MOST_ENTRIES:,}"]
    items = ((item, f"{raw.source}: axes.{axis}[{index}]") for index, item in enumerate(suite))
    references, mistakes = read_references(axis, items, registry)
    if not named:
        return references, mistakes
    own, mistakes = read_references(axis, ((item, where) for item in named), registry)
    return selected(axis, own, references, registry, epochs=not for_all(raw, overrides)), mistakes


def read_references(
    kind: str, items: Iterable[tuple[object, str]], registry: Registry
) -> tuple[list[Reference], list[str]]:
    """The references behind pairs of what was written and where, and one line per mistake."""
    references: list[Reference] = []
    mistakes: list[str] = []
    for item, where in items:
        try:
            references.append(read_reference(item, where))
        except UserError as error:
            mistakes += [f"{line}{key_hint(kind, item, registry)}" for line in error.messages]
    return references, mistakes


def read_curve(
    raw: RawSuite, training: TrainingSettings, registry: Registry
) -> tuple[tuple[Choice[EvaluatorSpec], ...], list[str]]:
    """The evaluators that run during training, none without ``curve_every``; and one line per mistake."""
    where = f"{raw.source}: training.curve"
    if not training.curve_every:
        unused = "curve" in training.model_fields_set
        return (), [f"{where} is given, but curve_every = 0 asks for no curve; set curve_every"] if unused else []
    items = ((item, f"{where}[{index}]") for index, item in enumerate(training.curve))
    references, mistakes = read_references("evaluator", items, registry)
    names = [reference.name for reference in references]
    mistakes += [f"{where} names evaluator {name!r} twice" for name, count in Counter(names).items() if count > 1]
    choices, wrong = look_up("evaluator", references, registry, training.preset)
    return tuple(filter(None, choices)), mistakes + wrong


def long_warmups(methods: Sequence[Choice[Any] | None], training: TrainingSettings) -> list[str]:
    """One line per warm-up that would not end within the training, be it the user's, a preset's or the paper's."""
    return [
        f"{method.spec.label}: {key} = {value:g} is longer than the training (epochs = {epochs}); allowed: 0 to"
        f" {epochs}, as in -m {method.name}:{key}=0"
        for method in methods
        if method is not None
        for epochs in [training_of(method, training).epochs]
        for key, value in method.params
        if key.endswith("warmup_epochs") and isinstance(value, (int, float)) and value > epochs > 0
    ]


def training_of(method: Choice[Any], training: TrainingSettings) -> TrainingSettings:
    """The suite's settings, with the epochs of the method where it has its own."""
    return training if method.epochs is None else training.model_copy(update={"epochs": method.epochs})


def auto_choices(axes: Axes, registry: Registry, preset: str) -> tuple[Defaults, list[str]]:
    """What ``auto`` stands for with these data sets and methods, by axis and text; one line per mistake."""
    defaults: dict[tuple[str, str], Choice[Any]] = {}
    mistakes: list[str] = []
    for axis in (axis for axis in AUTOMATIC if None in axes[axis]):
        pairs = product(axes["dataset"] or [None], filter(None, axes["method"]))
        texts = [recommended(axis, dataset, method) for dataset, method in pairs if axis in method.spec.uses]
        for text in dict.fromkeys(texts):
            choices, wrong = look_up(axis, [read_reference(text, f"{axis} auto")], registry, preset)
            if choices and choices[0] is not None:
                defaults[axis, text] = choices[0]
            mistakes += wrong
    return defaults, mistakes


def recommended(axis: str, dataset: Choice[DatasetSpec] | None, method: Choice[Any]) -> str:
    """What ``auto`` means on an axis for one data set and method: the data set's recommendation, else the paper's."""
    return str((dataset.spec.recommends.get(axis) if dataset else None) or getattr(method.spec, axis))


def empty_axes(raw: RawSuite, overrides: Overrides, axes: Axes) -> list[str]:
    """One line per axis that needs an entry and has none, not even one that is wrong."""
    used = {axis for method in axes["method"] if method for axis in method.spec.uses}
    needed = ["method", "dataset", "evaluator", *(a for a in ("backbone", "augmentation", "masking") if a in used)]
    tables = raw.data.get("axes")
    written: Mapping[str, Any] = tables if isinstance(tables, Mapping) else {}
    return [
        f"{raw.source}: axis {axis!r} is empty; name at least one (see: sslbench list {axis})"
        for axis in needed
        if not (axes[axis] or overrides.axes.get(axis) or written.get(axis))
    ]
