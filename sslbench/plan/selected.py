"""A plugin that is named in the place of the suite's own is meant with the settings that the suite has for it."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.contracts.params import resolved_path
from sslbench.contracts.plugin import Spec
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry
from sslbench.plan.meant import is_path_parameter, meant
from sslbench.plan.method_epochs import EPOCHS, takes_epochs
from sslbench.plan.reference import Reference

PRESET = "preset"


def selected(
    kind: str, named: Sequence[Reference], suite: Sequence[Reference], registry: Registry, *, epochs: bool = True
) -> list[Reference]:
    """What is ``named``, each with the parameters of the suite's entry of that plugin under its own, once for each such
    entry. One that names a preset, or other images or another model, is taken as it is written. ``epochs``: whether
    those beside a method of the suite count."""
    entries: dict[str, list[Reference]] = {}
    for entry in suite:
        understood = as_meant(kind, entry, registry)
        entries.setdefault(understood.name, []).append(understood)
    chosen: list[Reference] = []
    for reference in named:
        own = as_meant(kind, reference, registry)
        chosen += as_in_suite(kind, own, entries.get(own.name, ()), registry, epochs) or [reference]
    return chosen


def as_in_suite(
    kind: str, own: Reference, entries: Sequence[Reference], registry: Registry, epochs: bool
) -> list[Reference]:
    """What is named, as each of the suite's ``entries`` of that plugin has it; nothing where none of them is meant."""
    if not entries or PRESET in own.given:
        return []
    try:
        spec = registry.get(kind, own.name)
    except SslbenchError:  # which is said where it is looked up
        return []
    found = [joined(own, entry, spec, epochs) for entry in entries if same_thing(own, entry, spec)]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def as_meant(kind: str, reference: Reference, registry: Registry) -> Reference:
    """The plugin behind a path. What is wrong with it is said where it is looked up."""
    try:
        return meant(kind, reference, registry)
    except SslbenchError:
        return reference


def same_thing(own: Reference, entry: Reference, spec: Spec) -> bool:
    """Whether what is named are not other images, or another model, than the suite's. Those are told by parameters
    without a default, by paths of a data set, and by all of a method that is not trained."""
    fields, trains = spec.params.model_fields, getattr(spec, "trains", True)
    paths = {name for name in fields if is_path_parameter(spec.params, name)}
    telling = {
        name
        for name, field in fields.items()
        if not trains or field.is_required() or (spec.kind == "dataset" and name in paths)
    }
    return all(
        one_spelling(own.given[name], name in paths) == one_spelling(entry.given.get(name), name in paths)
        for name in telling & set(own.given)
    )


def one_spelling(value: object, is_path: bool) -> str:
    """A value as text; one place is one text."""
    return resolved_path(str(value)) if is_path else str(value)


def joined(own: Reference, entry: Reference, spec: Spec, epochs: bool) -> Reference:
    """The parameters of both, of which those of ``own`` count for more."""
    left_out = EPOCHS if takes_epochs(spec) and not epochs else None
    given = {key: value for key, value in entry.given.items() if key != left_out}
    return Reference(own.name, {**given, **own.given}, own.where)
