"""The preset of a suite: which of its plugins have it. One that none of them has is a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sslbench.contracts.plugin import Spec
from sslbench.errors import SslbenchError, did_you_mean, quoted
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import read_axis
from sslbench.plan.meant import meant
from sslbench.plan.suite import AXES, Overrides, RawSuite

DEFAULT = "default"  # what every plugin has: no preset


def preset_takers(
    raw: RawSuite, overrides: Overrides, preset: str, more: Iterable[Spec], registry: Registry
) -> tuple[tuple[str, ...], list[str]]:
    """A line that says which plugins have the preset, where some have and some have not; and one per mistake: nobody
    has it. ``more``: plugins beside those of the axes. A built-in suite's own preset needs no words."""
    asked = "preset" in overrides.training
    if preset == DEFAULT or (raw.builtin and not asked):
        return (), []
    specs = [*named(raw, overrides, registry), *more]
    takers, everyone = labels(spec for spec in specs if preset in spec.presets), labels(specs)
    if takers:
        others = [label for label in everyone if label not in takers]
        words = f"preset {quoted(preset)} is one of {', '.join(takers)}; not of {', '.join(others)}"
        return ((words,) if others else ()), []
    # The axes of the command line may leave out whom the suite's own preset is meant for.
    if not specs or (not asked and any(preset in spec.presets for spec in named(raw, Overrides(), registry))):
        return (), []
    return (), [nobody_has(preset, specs, "--set preset" if asked else f"{raw.source}: training.preset")]


def nobody_has(preset: str, specs: Iterable[Spec], where: str) -> str:
    """The line that says so."""
    names = sorted({name for spec in specs for name in spec.presets})
    hint, allowed = did_you_mean(preset, names), ", ".join([DEFAULT, *names])
    return f"{where}: no plugin of this suite has a preset {quoted(preset)}{hint} (allowed: {allowed})"


def named(raw: RawSuite, overrides: Overrides, registry: Registry) -> Iterator[Spec]:
    """Those that the axes name, whatever is wrong with their parameters."""
    axes = raw.data.get("axes")
    written: Mapping[str, Any] = axes if isinstance(axes, Mapping) else {}
    for axis in AXES:
        for reference in read_axis(raw, written, axis, overrides, registry)[0]:
            try:
                yield registry.get(axis, meant(axis, reference, registry).name)
            except SslbenchError:  # unknown or broken, which is said where it is looked up
                continue


def labels(specs: Iterable[Spec]) -> list[str]:
    """Each once."""
    return list(dict.fromkeys(spec.label for spec in specs))
