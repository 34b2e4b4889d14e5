"""Parameters of plugins, resolved: defaults, then a preset, then what was given, with one line for each mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sslbench.contracts.params import Params
from sslbench.errors import did_you_mean, quoted
from sslbench.hooks.values import Written, checked, lines, typed


def plugins_named(params: Params) -> dict[str, tuple[str, str]]:
    """Parameter -> kind and reference of the plugin that it names. One that is empty as by default names none."""
    fields = type(params).model_fields
    extras = {name: field.json_schema_extra for name, field in fields.items()}
    kinds = {name: extra["names"] for name, extra in extras.items() if isinstance(extra, dict) and "names" in extra}
    texts = {name: getattr(params, name) for name in kinds}
    return {name: (str(kinds[name]), text) for name, text in texts.items() if text or fields[name].default}


def resolve(
    label: str,
    model: type[Params],
    given: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    preset: str | None = None,
) -> tuple[Params | None, list[str]]:
    """The parameters, or None and one line per mistake, each after ``label``: defaults, then the preset, then what was
    given, in the declared types. ``preset`` is the suite's and ignored by a plugin without one of that name; ``preset``
    among ``given`` is the user's and must exist."""
    presets = presets or {}
    names = list(model.model_fields)
    mistakes: list[str] = []
    values = {key: value for key, value in given.items() if key in names}
    others = {key: value for key, value in given.items() if key not in names}
    own_preset = others.pop("preset", None)
    if own_preset not in (None, "default", *presets):
        hint = did_you_mean(str(own_preset), list(presets))
        allowed = ", ".join(["default", *presets])
        mistakes.append(f"{label}: no preset {quoted(own_preset)}{hint}; allowed: {allowed}")
    base = presets.get(preset or "", {}) if own_preset is None else presets.get(str(own_preset), {})
    known = [*names, *(["preset"] if presets else [])]
    allowed = ", ".join(known) or "none, it has no parameters"
    mistakes += [
        f"{label}: unknown parameter {quoted(key)}{did_you_mean(key, known) or comma_hint(model, given, key)}"
        f" (allowed: {allowed})"
        for key in others
    ]
    try:
        values = typed(model, values)
    except ValueError as error:
        return None, [*mistakes, f"{label}: {error}"]
    resolved, faults = checked(model, {**base, **values}, values)
    mistakes += [f"{label}: {line}" for line in lines(model, faults)]
    return (None if mistakes else resolved), mistakes


def comma_hint(model: type[Params], given: Mapping[str, Any], key: str) -> str:
    """What to write where an unknown parameter may be the rest of the text before it: ``root=a,b=c``."""
    keys = list(given)
    before = keys[keys.index(key) - 1] if keys.index(key) else ""
    field = model.model_fields.get(before)
    if field is None or field.annotation is not str or not isinstance(given[key], Written):
        return ""
    return f'; a value with a comma goes in quotes: {before}="{given[before]},{key}={given[key]}"'
