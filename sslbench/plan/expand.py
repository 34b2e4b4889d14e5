"""From a suite to its cells: look every plugin up, cross the axes, merge what is equal, skip what makes no sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.kinds import BackboneSpec, DatasetSpec, EvaluatorSpec, MethodSpec, Spec
from sslbench.hooks.params import Params, plugins_named, resolve
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Cell, Choice, Pretraining
from sslbench.plan.identity import harness_identity, plugin_identity
from sslbench.plan.reference import Reference, parse_reference, read_reference
from sslbench.plan.suite import AXES, RawSuite, Training, check_layout

KNOWN_OF_DATA = frozenset({"labels", "factors", "mask", "depth"})
"""What only a data set can provide."""
AUTO = "auto"
"""As an augmentation: what the data set recommends, else the method's own."""


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
    axes: Mapping[str, tuple[Choice | None, ...]]
    """axis -> choices; None stands for ``auto``"""
    seeds: tuple[int, ...]
    training: Training
    registry: Registry
    defaults: Mapping[str, Choice]
    """augmentations that ``auto`` may mean, by name"""
    curve: tuple[Choice, ...] = ()
    """evaluators that judge during training"""


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
    training = layout.training if layout else Training()
    chosen: dict[str, tuple[Choice | None, ...]] = {}
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


def read_curve(raw: RawSuite, training: Training, registry: Registry) -> tuple[tuple[Choice, ...], list[str]]:
    """The evaluators that judge during training, none without ``curve_every``; and one line per mistake."""
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


def long_warmups(methods: Sequence[Choice | None], epochs: int) -> list[str]:
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


def look_up(
    axis: str, references: Sequence[Reference], registry: Registry, preset: str
) -> tuple[tuple[Choice | None, ...], list[str]]:
    """The plugins behind references, in order and each once, and one line per mistake."""
    found: list[Choice | None] = []
    mistakes: list[str] = []
    for reference in references:
        if axis == "augmentation" and reference.name == AUTO and not reference.given:
            found.append(None)
            continue
        try:
            choice, wrong = choose(axis, reference, registry, preset)
        except SslbenchError as error:
            mistakes += [f"{reference.where}: {message}" for message in error.messages]
            continue
        mistakes += [f"{reference.where}: {line}" for line in wrong]
        if choice is not None and not any(c is not None and c.description == choice.description for c in found):
            found.append(choice)
    return tuple(found), mistakes


def choose(kind: str, reference: Reference, registry: Registry, preset: str) -> tuple[Choice | None, list[str]]:
    """One plugin with its parameters. Raises as ``Registry.get`` does for an unknown or broken one."""
    spec = registry.get(kind, reference.name)
    entry = registry.entry_of(kind, reference.name)
    params, mistakes = resolve(spec.label, spec.params, reference.given, spec.presets, preset)
    if params is None:
        return None, mistakes
    named, mistakes = codes_named(spec, params, registry)
    return Choice(spec, params, plugin_identity(entry), entry.distribution, entry.version, named), mistakes


def codes_named(spec: Spec, params: Params, registry: Registry) -> tuple[dict[str, str], list[str]]:
    """The code of the plugins that parameters name, and of those that these name; and one line per mistake."""
    codes: dict[str, str] = {}
    mistakes: list[str] = []
    for name, (kind, text) in plugins_named(params).items():
        where = f"{spec.label}: {name}"
        try:
            choice, wrong = choose(kind, parse_reference(text, where), registry, "")
        except SslbenchError as error:
            # Of a reference that cannot be read, the message says where it is; of an unknown name it does not.
            mistakes += [line if line.startswith(where) else f"{where}: {line}" for line in error.messages]
            continue
        mistakes += [f"{where}: {line}" for line in wrong]
        codes |= {f"{what} of {spec.label}": code for what, code in choice.codes.items()} if choice else {}
    return codes, mistakes


def auto_augmentations(
    chosen: Mapping[str, tuple[Choice | None, ...]], registry: Registry, preset: str
) -> tuple[dict[str, Choice], list[str]]:
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


def empty_axes(raw: RawSuite, chosen: Mapping[str, tuple[Choice | None, ...]]) -> list[str]:
    """One line per axis that needs an entry and has none."""
    needed = ["method", "dataset", "evaluator"]
    specs = [choice.spec for choice in chosen["method"] if choice]
    used = {axis for spec in specs if isinstance(spec, MethodSpec) for axis in spec.uses}
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
        assert isinstance(dataset.spec, DatasetSpec)
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
                reason = senseless(method, backbone, dataset)
                for evaluator in filter(None, suite.axes["evaluator"]):
                    cells.append(Cell(shared, evaluator, reason or unjudgeable(evaluator, shared)))
    return cells


def fingerprint_of(method: Choice) -> str:
    """Of the files that a method reads; empty for most."""
    spec = method.spec
    return spec.fingerprint(method.params) if isinstance(spec, MethodSpec) and spec.fingerprint else ""


def combinations(suite: Suite, dataset: Choice) -> Iterator[tuple[Choice, Choice | None, Choice | None, Choice | None]]:
    """(method, backbone, augmentation, masking); an axis that a method does not use is None, once."""
    for method in filter(None, suite.axes["method"]):
        assert isinstance(method.spec, MethodSpec)
        uses = method.spec.uses
        auto = suite.defaults.get(recommended(dataset.spec, method.spec))
        augmentations = [choice or auto for choice in suite.axes["augmentation"]]
        for backbone, augmentation, masking in product(
            suite.axes["backbone"] if "backbone" in uses else [None],
            augmentations if "augmentation" in uses else [None],
            suite.axes["masking"] if "masking" in uses else [None],
        ):
            yield method, backbone, augmentation, masking


def senseless(method: Choice, backbone: Choice | None, dataset: Choice) -> str | None:
    """Why a method cannot work with a backbone or a data set, or None."""
    labels = isinstance(method.spec, MethodSpec) and method.spec.uses_labels
    if labels and isinstance(dataset.spec, DatasetSpec) and "labels" not in dataset.spec.provided(dataset.params):
        return f"{method.name} trains on labels; data set {dataset.name} has none"
    if backbone is None or not isinstance(method.spec, MethodSpec) or not isinstance(backbone.spec, BackboneSpec):
        return None
    missing = method.spec.needs - backbone.spec.provided(backbone.params)
    if missing:
        return f"{method.name} needs a backbone with {', '.join(sorted(missing))}; {backbone.name} has none"
    return None


def unjudgeable(evaluator: Choice, shared: Pretraining) -> str | None:
    """Why an evaluator cannot judge a pretraining, or None."""
    spec, dataset, method = evaluator.spec, shared.dataset.spec, shared.method.spec
    if (
        not isinstance(spec, EvaluatorSpec)
        or not isinstance(dataset, DatasetSpec)
        or not isinstance(method, MethodSpec)
    ):
        return None
    known = dataset.provided(shared.dataset.params)
    of_data = spec.needs & (KNOWN_OF_DATA | known)
    missing = of_data - known
    if missing:
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; data set {shared.dataset.name} has none"
    provided = method.provided(shared.method.params)
    if shared.backbone is not None and isinstance(shared.backbone.spec, BackboneSpec):
        provided |= {"encoder"} | shared.backbone.spec.provided(shared.backbone.params)
    missing = spec.needs - of_data - provided
    if missing:
        who = f"{shared.method.name} on {shared.backbone.name}" if shared.backbone else shared.method.name
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; {who} has none"
    return None
