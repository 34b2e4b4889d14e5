"""From a speed suite to its rows, and to what each of them is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from sslbench.errors import UserError, quoted
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import Axes, Defaults, auto_choices, read_axis, recommended
from sslbench.plan.cell import Choice
from sslbench.plan.choose import look_up
from sslbench.plan.presets import DEFAULT, nobody_has
from sslbench.plan.suite import Overrides, RawSuite, unknown_axes
from sslbench.speed.rows import Pair, SpeedRow, impossible_changes, unknown_parameters, with_baselines
from sslbench.speed.suite import SPEED_AXES, Baseline, Part, SpeedFile

MOST_ROWS = 10_000  # of one suite


@dataclass(frozen=True)
class Chosen:
    """The plugins of each axis, and what ``auto`` may stand for."""

    axes: Axes
    defaults: Defaults

    def of(self, axis: str, method: Choice[Any], dataset: Choice[Any] | None) -> list[Choice[Any] | None]:
        """For one method; None, once, where it does not use the axis."""
        if axis not in method.spec.uses:
            return [None]
        return [choice or self.defaults.get((axis, recommended(axis, dataset, method))) for choice in self.axes[axis]]


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


def plan_speed(
    raw: RawSuite,
    layout: SpeedFile,
    axes: Mapping[str, Sequence[str]],
    registry: Registry,
    mistakes: Sequence[str] = (),
) -> SpeedPlan:
    """Check everything at once. ``layout`` has a device and precisions that are resolved; ``axes`` replace the suite's;
    ``mistakes`` were found before. Raises UserError with one line a mistake, and nothing has run."""
    kind = "cuda" if layout.speed.device.startswith("cuda") else "cpu"
    parts = [part for part in layout.parts if part.device in ("any", kind)]
    lines = list(mistakes)
    chosen = []
    for part in parts or [Part()]:
        plugins, wrong = read_axes(raw, {**layout.axes, **part.axes}, axes, registry, layout.speed.preset)
        lines += wrong
        chosen.append((plugins, part.batch_sizes or layout.speed.batch_sizes))
    specs = [
        choice.spec
        for plugins, _ in chosen
        for own in (*plugins.axes.values(), plugins.defaults.values())
        for choice in own
        if choice
    ]
    preset = layout.speed.preset
    if specs and not raw.builtin and not any(preset in (DEFAULT, *spec.presets) for spec in specs):
        lines.append(nobody_has(preset, specs, f"{raw.source}: speed.preset"))
    lines += [line for baseline in layout.baselines for line in impossible_changes(raw.source, baseline)]
    # Baselines of a suite are for its own plugins; those of the command line are for whatever is measured.
    for baseline in layout.baselines if specs and not (axes and of_the_suite(layout.baselines, raw)) else []:
        lines += unknown_parameters(raw.source, baseline, specs)
    lines += [f"{raw.source}: two baselines are called {quoted(name)}" for name in doubled(layout.baselines)]
    sizes = (len(batches) * prod(max(len(own), 1) for own in plugins.axes.values()) for plugins, batches in chosen)
    count = sum(sizes) * max(len(layout.speed.precisions), 1) * len(layout.speed.compile)
    if count > MOST_ROWS:
        lines.append(f"{raw.source}: the axes cross to {count:,} rows; allowed: at most {MOST_ROWS:,} in one suite")
    if lines:
        raise UserError(*dict.fromkeys(lines))
    rows = [row for plugins, batches in chosen for row in rows_of(plugins, layout, batches)]
    distinct = list({row.key: row for row in rows}.values())
    rows, pairs = with_baselines(distinct, layout.baselines, registry, layout.speed.preset)
    # Who names the axes knows what they leave out.
    left_out = dict.fromkeys(part.left_out for part in parts if part.left_out and not axes)
    seconds = layout.speed.seconds or max((part.seconds for part in parts if part.seconds), default=None)
    return SpeedPlan(tuple(rows), tuple(pairs), tuple(left_out), seconds)


def of_the_suite(baselines: Sequence[Baseline], raw: RawSuite) -> bool:
    """Whether the baselines are those that the suite's file names."""
    written = raw.data.get("baselines")
    return isinstance(written, list) and [item.get("name") for item in written if isinstance(item, Mapping)] == [
        baseline.name for baseline in baselines
    ]


def doubled(baselines: Sequence[Baseline]) -> list[str]:
    """Names that more than one has."""
    return [name for name, count in Counter(baseline.name for baseline in baselines).items() if count > 1]


def read_axes(
    raw: RawSuite, written: Mapping[str, Any], axes: Mapping[str, Sequence[str]], registry: Registry, preset: str
) -> tuple[Chosen, list[str]]:
    """The plugins of each axis as the suite has it ``written`` or ``axes`` replace it, and one line per mistake."""
    mistakes = unknown_axes(raw, "axes", written, SPEED_AXES)
    chosen: dict[str, tuple[Choice[Any] | None, ...]] = {}
    for axis in SPEED_AXES:
        references, unreadable = read_axis(raw, written, axis, Overrides(axes), registry)
        chosen[axis], unknown = look_up(axis, references, registry, preset)
        mistakes += [*unreadable, *unknown]
    chosen["augmentation"] = chosen["augmentation"] or (None,)
    used = {axis for choice in chosen["method"] if choice for axis in choice.spec.uses}
    mistakes += [
        f"{raw.source}: axis {axis!r} is empty; name at least one (see: sslbench list {axis})"
        for axis in ("method", "backbone", "masking")
        if axis in used | {"method"} and not (chosen[axis] or axes.get(axis) or written.get(axis))
    ]
    defaults, wrong = auto_choices(chosen, registry, preset)
    return Chosen(chosen, defaults), [*mistakes, *wrong]


def rows_of(chosen: Chosen, layout: SpeedFile, batch_sizes: Sequence[int]) -> Iterator[SpeedRow]:
    """The cross product; an axis that a method does not use is None, once."""
    settings = layout.speed
    for method, dataset in product(filter(None, chosen.axes["method"]), chosen.axes["dataset"] or [None]):
        for backbone, masking, augmentation, batch_size, precision, compiling in product(
            chosen.of("backbone", method, dataset),
            chosen.of("masking", method, dataset),
            chosen.of("augmentation", method, dataset) if dataset else [None],
            batch_sizes,
            settings.precisions,
            settings.compile,
        ):
            yield SpeedRow(
                *(method, backbone, masking, augmentation, dataset),
                *(batch_size, precision, compiling),
                *(settings.image_size, settings.device),
            )
