"""From references to plugins with their parameters, and one line for each mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.params import Params
from sslbench.contracts.plugin import Spec
from sslbench.errors import SslbenchError
from sslbench.hooks.params import plugins_named, resolve
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.identity import plugin_identity
from sslbench.plan.reference import Reference, parse_reference

AUTO = "auto"
"""As an augmentation: what the data set recommends, else the paper's."""


def look_up(
    axis: str, references: Sequence[Reference], registry: Registry, preset: str
) -> tuple[tuple[Choice[Any] | None, ...], list[str]]:
    """The plugins behind references, in order and each once, and one line per mistake. ``auto`` is None."""
    choices: list[Choice[Any] | None] = []
    mistakes: list[str] = []
    for reference in references:
        if axis == "augmentation" and reference.name == AUTO and not reference.given:
            choices.append(None)
            continue
        try:
            choice, wrong = choose(axis, reference, registry, preset)
        except SslbenchError as error:
            choice, wrong = None, list(error.messages)
        mistakes += [f"{reference.where}: {line}" for line in wrong]
        if choice is not None and not any(c is not None and c.description == choice.description for c in choices):
            choices.append(choice)
    return tuple(choices), mistakes


def choose(kind: str, reference: Reference, registry: Registry, preset: str) -> tuple[Choice[Any] | None, list[str]]:
    """One plugin with its parameters, or None, and one line per mistake. Raises as ``Registry.get`` does for an unknown
    or broken one."""
    spec = registry.get(kind, reference.name)
    entry = registry.entry_of(kind, reference.name)
    params, mistakes = resolve(spec.label, spec.params, reference.given, spec.presets, preset)
    if params is None:
        return None, mistakes
    named, mistakes = codes_named(spec, params, registry)
    return Choice(spec, params, plugin_identity(entry), entry.distribution, entry.version, named), mistakes


def codes_named(spec: Spec, params: Params, registry: Registry) -> tuple[dict[str, str], list[str]]:
    """Label -> code of the plugins that parameters name, and of those that these name; and one line per mistake."""
    codes: dict[str, str] = {}
    mistakes: list[str] = []
    for name, (kind, text) in plugins_named(params).items():
        where = f"{spec.label}: {name}"
        try:
            choice, wrong = choose(kind, parse_reference(text, where), registry, "")
        except SslbenchError as error:
            # The message of a reference that cannot be read names its place; that of an unknown name does not.
            mistakes += [line if line.startswith(where) else f"{where}: {line}" for line in error.messages]
            continue
        mistakes += [f"{where}: {line}" for line in wrong]
        codes |= {f"{label} of {spec.label}": code for label, code in choice.codes.items()} if choice else {}
    return codes, mistakes


def sent(kind: str, plain: PluginChoice, registry: Registry) -> Choice[Any]:
    """The choice whose ``Choice.plain`` another process sent. Raises as ``Registry.get`` does."""
    spec = registry.get(kind, plain.name)
    return Choice(spec, spec.params(**plain.params))
