"""From a speed suite to its rows, and to what each of them is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import auto_augmentations, read_axis, recommended
from sslbench.plan.cell import Choice
from sslbench.plan.choose import look_up
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.speed.rows import Pair, SpeedRow, impossible_changes, with_baselines
from sslbench.speed.suite import SPEED_AXES, Part, SpeedFile

Chosen = Mapping[str, tuple[Choice[Any] | None, ...]]
"""axis -> plugins; ``default``: the augmentations that ``auto`` stands for"""


@dataclass(frozen=True)
class SpeedPlan:
    """All rows in order, and all comparisons."""

    rows: tuple[SpeedRow, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    """what the suite does not measure on this device, in its own words"""
    seconds: float | None

    @property
    def groups(self) -> list[list[int]]:
        """Indices of rows that are compared with each other, directly or through others, in order."""
        groups = {index: [index] for index in range(len(self.rows))}
        for pair in self.pairs:
            first, second = groups[pair.row], groups[pair.baseline]
            if first is not second:
                first += second
                groups |= dict.fromkeys(second, first)
        return [sorted(group) for index, group in groups.items() if index == min(group)]


def plan_speed(raw: RawSuite, layout: SpeedFile, axes: Mapping[str, Sequence[str]], registry: Registry) -> SpeedPlan:
    """Check everything at once. ``layout`` has a device and precisions that are resolved; ``axes`` replace the suite's.

    Raises UserError with one line a mistake, and nothing has run.
    """
    kind = "cuda" if layout.speed.device.startswith("cuda") else "cpu"
    parts = [part for part in layout.parts if part.device in ("any", kind)]
    rows: list[SpeedRow] = []
    mistakes: list[str] = []
    for part in parts or [Part()]:
        chosen, wrong = read_axes(raw, {**layout.axes, **part.axes}, axes, registry, layout.speed.preset)
        mistakes += wrong
        if not wrong:
            rows += rows_of(chosen, layout, part.batch_sizes or layout.speed.batch_sizes)
    mistakes += [line for baseline in layout.baselines for line in impossible_changes(raw.source, baseline)]
    if mistakes:
        raise UserError(*dict.fromkeys(mistakes))
    distinct = list({row.key: row for row in rows}.values())
    rows, pairs = with_baselines(distinct, layout.baselines, registry, layout.speed.preset)
    # Who names the axes knows what they leave out.
    left_out = dict.fromkeys(part.left_out for part in parts if part.left_out and not axes)
    seconds = layout.speed.seconds or max((part.seconds for part in parts if part.seconds), default=None)
    return SpeedPlan(tuple(rows), tuple(pairs), tuple(left_out), seconds)


def read_axes(
    raw: RawSuite, written: Mapping[str, Any], axes: Mapping[str, Sequence[str]], registry: Registry, preset: str
) -> tuple[Chosen, list[str]]:
    """The plugins of each axis as the suite has it ``written`` or ``axes`` replace it, and one line per mistake."""
    mistakes = [
        f"{raw.source}: unknown axis 'axes.{name}' (allowed: {', '.join(SPEED_AXES)})"
        for name in written
        if name not in SPEED_AXES
    ]
    chosen: dict[str, tuple[Choice[Any] | None, ...]] = {}
    for axis in SPEED_AXES:
        references, unreadable = read_axis(raw, written, axis, Overrides(axes))
        chosen[axis], unknown = look_up(axis, references, registry, preset)
        mistakes += [*unreadable, *unknown]
    chosen["augmentation"] = chosen["augmentation"] or (None,)
    used = {axis for choice in chosen["method"] if choice for axis in choice.spec.uses}
    mistakes = mistakes or [
        f"{raw.source}: axis {axis!r} is empty; name at least one (see: sslbench list {axis})"
        for axis in ("method", "backbone", "masking")
        if not chosen[axis] and axis in used | {"method"}
    ]
    defaults, wrong = auto_augmentations(chosen, registry, preset)
    chosen["default"] = tuple(defaults.values())
    return chosen, [*mistakes, *wrong]


def rows_of(chosen: Chosen, layout: SpeedFile, batch_sizes: Sequence[int]) -> Iterator[SpeedRow]:
    """The cross product; an axis that a method does not use is None, once."""
    settings = layout.speed
    for method in filter(None, chosen["method"]):
        uses = method.spec.uses
        for dataset, backbone, masking, augmentation, batch_size, precision, compiling in product(
            chosen["dataset"] or [None],
            chosen["backbone"] if "backbone" in uses else [None],
            chosen["masking"] if "masking" in uses else [None],
            chosen["augmentation"] if "augmentation" in uses and chosen["dataset"] else [None],
            batch_sizes,
            settings.precisions,
            settings.compile,
        ):
            if dataset is not None and augmentation is None and "augmentation" in uses:
                auto = recommended(dataset.spec, method.spec)
                augmentation = next(choice for choice in chosen["default"] if choice and choice.name == auto)
            yield SpeedRow(
                *(method, backbone, masking, augmentation, dataset),
                *(batch_size, precision, compiling),
                *(settings.image_size, settings.device),
            )
