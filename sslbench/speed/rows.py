"""From a speed suite to its rows, and to what each of them is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from pydantic import ValidationError

from sslbench.errors import UserError, did_you_mean
from sslbench.hooks.params import validation_lines
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice, codes_of, digest
from sslbench.plan.choose import look_up
from sslbench.plan.compatibility import incompatible
from sslbench.plan.expand import Overrides, auto_augmentations, read_axis, recommended
from sslbench.plan.identity import harness_identity
from sslbench.plan.reference import parse_reference, read_reference
from sslbench.plan.suite import RawSuite
from sslbench.speed.suite import COMPILING, SPEED_AXES, Baseline, SpeedFile

PLAIN = ("batch_size", "precision", "compile")
"""What of a row is a value and no plugin."""
ALLOWED = {"precision": ("fp32", "bf16", "fp16"), "compile": tuple(COMPILING)}


@dataclass(frozen=True)
class SpeedRow:
    """One training step whose speed is measured. An axis that the method does not use is None."""

    method: Choice[Any]
    backbone: Choice[Any] | None
    masking: Choice[Any] | None
    augmentation: Choice[Any] | None
    """of the end-to-end measurement, as the data set is; None without one"""
    dataset: Choice[Any] | None
    batch_size: int
    precision: str
    compile: str
    """a configuration of ``COMPILING``"""
    image_size: int
    device: str
    skip: str | None = None
    """why this row makes no sense, or None"""

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        return {kind: getattr(self, kind) for kind in SPEED_AXES if getattr(self, kind) is not None}

    @property
    def mask_ratio(self) -> float | None:
        return getattr(self.masking.params, "ratio", None) if self.masking else None

    @cached_property
    def description(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in (*PLAIN, "image_size")}
        settings["device"] = self.device.partition(":")[0]
        return {**{kind: choice.description for kind, choice in self.choices.items()}, "speed": settings}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code that answers it."""
        return {"code": {"the harness": harness_identity(), **codes_of(self.choices.values())}}

    @cached_property
    def key(self) -> str:
        return digest([self.description, self.inputs])

    def value(self, place: str) -> Any:
        """What is at ``precision``, ``method`` or ``method.decoder_depth``; None where there is no such thing."""
        axis, _, parameter = place.partition(".")
        if axis in PLAIN:
            return getattr(self, axis)
        choice = self.choices.get(axis)
        return None if choice is None else choice.values.get(parameter) if parameter else choice.name

    def matches(self, where: Mapping[str, Any]) -> bool:
        return all(self.value(place) == wanted for place, wanted in where.items())


@dataclass(frozen=True)
class Pair:
    """A row and what it is held against: places in the rows, and the names of the baselines that say so."""

    row: int
    baseline: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class SpeedPlan:
    """All rows in order, and all comparisons."""

    rows: tuple[SpeedRow, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    """what the suite does not measure on this device, in its own words"""
    seconds: float | None
    """for the whole suite"""


def plan_speed(raw: RawSuite, layout: SpeedFile, axes: Mapping[str, Sequence[str]], registry: Registry) -> SpeedPlan:
    """Check everything at once. ``layout`` has a device and precisions that are resolved; ``axes`` replace the suite's.

    Raises UserError with one line a mistake, and nothing has run.
    """
    kind = "cuda" if layout.speed.device.startswith("cuda") else "cpu"
    rows: list[SpeedRow] = []
    wrong: list[str] = []
    left_out = []
    parts = [part for part in layout.parts if part.device in ("any", kind)]
    for written, sizes, words in [(p.axes, p.batch_sizes, p.left_out) for p in parts] or [(layout.axes, None, "")]:
        chosen, mistakes = read_axes(raw, {**layout.axes, **written}, axes, registry, layout.speed.preset)
        wrong += mistakes
        if not mistakes:
            rows += rows_of(chosen, layout, sizes or layout.speed.batch_sizes)
        # Who names the axes knows what they leave out.
        left_out += [words] if words and not axes else []
    wrong += [line for baseline in layout.baselines for line in misplaced(raw, baseline)]
    if wrong:
        raise UserError(*dict.fromkeys(wrong))
    rows, pairs = with_baselines(unique(rows), layout.baselines, registry, layout.speed.preset)
    budget = layout.speed.seconds or max((p.seconds for p in parts if p.seconds), default=None)
    return SpeedPlan(tuple(rows), tuple(pairs), tuple(dict.fromkeys(left_out)), budget)


Chosen = Mapping[str, tuple[Choice[Any] | None, ...]]


def read_axes(
    raw: RawSuite, written: Mapping[str, Any], given: Mapping[str, Sequence[str]], registry: Registry, preset: str
) -> tuple[dict[str, tuple[Choice[Any] | None, ...]], list[str]]:
    """The plugins of each axis, those that ``auto`` stands for under ``default``, and one line per mistake."""
    mistakes = [
        f"{raw.source}: unknown axis 'axes.{name}' (allowed: {', '.join(SPEED_AXES)})"
        for name in written
        if name not in SPEED_AXES
    ]
    chosen: dict[str, tuple[Choice[Any] | None, ...]] = {}
    for axis in SPEED_AXES:
        references, wrong = read_axis(raw, written, axis, Overrides(given))
        found, unknown = look_up(axis, references, registry, preset)
        mistakes += [*wrong, *unknown]
        chosen[axis] = found
    if not chosen["augmentation"]:
        chosen["augmentation"] = (None,)
    if not mistakes:
        used = {axis for choice in chosen["method"] if choice for axis in choice.spec.uses}
        needed = ["method", *(axis for axis in ("backbone", "masking") if axis in used)]
        mistakes += [
            f"{raw.source}: axis {axis!r} is empty; name at least one (see: sslbench list {axis})"
            for axis in needed
            if not chosen[axis]
        ]
    defaults, wrong = auto_augmentations(chosen, registry, preset)
    chosen["default"] = tuple(defaults.values())
    return chosen, [*mistakes, *wrong]


def rows_of(chosen: Chosen, layout: SpeedFile, sizes: Sequence[int]) -> Iterator[SpeedRow]:
    settings = layout.speed
    for method in filter(None, chosen["method"]):
        uses = method.spec.uses
        for dataset, backbone, masking, augmentation, size, precision, compiling in product(
            chosen["dataset"] or [None],
            chosen["backbone"] if "backbone" in uses else [None],
            chosen["masking"] if "masking" in uses else [None],
            chosen["augmentation"] if "augmentation" in uses and chosen["dataset"] else [None],
            sizes,
            settings.precisions,
            settings.compile,
        ):
            if dataset is not None and augmentation is None and "augmentation" in uses:
                wanted = recommended(dataset.spec, method.spec)
                augmentation = next(c for c in chosen["default"] if c is not None and c.name == wanted)
            yield SpeedRow(
                method,
                backbone,
                masking,
                augmentation,
                dataset,
                size,
                precision,
                compiling,
                settings.image_size,
                settings.device,
                why_not_timed(method, backbone),
            )


def why_not_timed(method: Choice[Any], backbone: Choice[Any] | None) -> str | None:
    """Why a step of a method cannot be timed on a backbone, or None."""
    return incompatible(method, backbone) if method.spec.trains else f"{method.name} takes no training step"


def unique(rows: Sequence[SpeedRow]) -> list[SpeedRow]:
    return list({row.key: row for row in rows}.values())


def with_baselines(
    rows: list[SpeedRow], baselines: Sequence[Baseline], registry: Registry, preset: str
) -> tuple[list[SpeedRow], list[Pair]]:
    """The rows, each baseline before the first row that is held against it, and all pairs."""
    held: list[tuple[SpeedRow, SpeedRow, str]] = []
    found: dict[str, SpeedRow] = {}
    for row in rows:
        for baseline in baselines:
            other = None if row.skip else changed(row, baseline.change, registry, preset)
            if other is not None and other.key != row.key:
                held.append((row, other, baseline.name))
                found.setdefault(other.key, other)
        found.setdefault(row.key, row)
    order = {key: place for place, key in enumerate(found)}
    names: dict[tuple[int, int], list[str]] = {}
    for row, other, name in held:
        names.setdefault((order[row.key], order[other.key]), []).append(name)
    return list(found.values()), [Pair(*places, tuple(given)) for places, given in names.items()]


def changed(row: SpeedRow, change: Mapping[str, Any], registry: Registry, preset: str) -> SpeedRow | None:
    """The row with some things changed; None where its plugins have no such parameter, or the new ones do not go
    together. Raises UserError for a value that is not allowed."""
    for place, value in change.items():
        axis, _, parameter = place.partition(".")
        if axis in PLAIN:
            row = replace(row, **{axis: value})
            continue
        choice = row.choices.get(axis)
        if choice is None or (parameter and parameter not in choice.values):
            return None
        new = with_parameter(choice, place, value) if parameter else replacement(axis, value, place, registry, preset)
        row = replace(row, **{axis: new})  # type: ignore[arg-type]
    uses = row.method.spec.uses
    row = replace(row, **{axis: None for axis in ("backbone", "masking") if axis not in uses})  # type: ignore[arg-type]
    lacking = any(getattr(row, axis) is None for axis in ("backbone", "masking") if axis in uses)
    return None if lacking or why_not_timed(row.method, row.backbone) else row


def with_parameter(choice: Choice[Any], place: str, value: Any) -> Choice[Any]:
    try:
        params = type(choice.params)(**{**choice.values, place.partition(".")[2]: value})
    except ValidationError as error:
        raise UserError(*(f"baseline {place}: {line}" for line in validation_lines(error))) from None
    return replace(choice, params=params)


def replacement(axis: str, value: Any, place: str, registry: Registry, preset: str) -> Choice[Any]:
    """The plugin that a baseline names."""
    where = f"baseline {place}"
    reference = parse_reference(value, where) if isinstance(value, str) else read_reference(value, where)
    found, wrong = look_up(axis, [reference], registry, preset)
    if not found or found[0] is None:
        raise UserError(*wrong)
    return found[0]


def misplaced(raw: RawSuite, baseline: Baseline) -> list[str]:
    """One line for each thing that a baseline changes and that no row has."""
    allowed = [*PLAIN, *SPEED_AXES]
    lines = []
    for place, value in baseline.change.items():
        axis, _, parameter = place.partition(".")
        if axis not in allowed or (parameter and axis in PLAIN):
            hint = did_you_mean(axis, allowed)
            lines.append(
                f"{raw.source}: baseline {baseline.name!r}: nothing is called {place!r}{hint}"
                f" (allowed: {', '.join(allowed)}; parameters: AXIS.KEY)"
            )
        elif axis in ALLOWED and value not in ALLOWED[axis]:
            allowed_values = ", ".join(ALLOWED[axis])
            lines.append(f"{raw.source}: baseline {baseline.name!r}: {axis} = {value!r}: one of {allowed_values}")
        elif axis == "batch_size" and not (isinstance(value, int) and value > 0):
            lines.append(f"{raw.source}: baseline {baseline.name!r}: batch_size = {value!r}: a whole number above 0")
    return lines
