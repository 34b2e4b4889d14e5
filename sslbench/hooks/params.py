"""Parameters of plugins, resolved: defaults, then a preset, then what was given, with one line for each mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sslbench.contracts.params import Params
from sslbench.errors import did_you_mean


def plugins_named(params: Params) -> dict[str, tuple[str, str]]:
    """Parameter -> kind and reference of the plugin that it names."""
    extras = {name: field.json_schema_extra for name, field in type(params).model_fields.items()}
    kinds = {name: extra["names"] for name, extra in extras.items() if isinstance(extra, dict) and "names" in extra}
    return {name: (str(kind), getattr(params, name)) for name, kind in kinds.items()}


def resolve(
    label: str,
    model: type[Params],
    given: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    preset: str | None = None,
) -> tuple[Params | None, list[str]]:
    """The parameters, or None and one line per mistake, each after ``label``: defaults, then the preset, then what was
    given. ``preset`` is the suite's and ignored by a plugin without one of that name; ``preset`` among ``given`` is the
    user's and must exist."""
    presets = presets or {}
    names = list(model.model_fields)
    mistakes: list[str] = []
    values = {key: value for key, value in given.items() if key in names}
    others = {key: value for key, value in given.items() if key not in names}
    own_preset = others.pop("preset", None)
    if own_preset not in (None, "default", *presets):
        mistakes.append(f"{label}: no preset {own_preset!r}; allowed: {', '.join(['default', *presets])}")
    base = presets.get(preset or "", {}) if own_preset is None else presets.get(str(own_preset), {})
    allowed = ", ".join(names) or "none, it has no parameters"
    mistakes += [f"{label}: unknown parameter {key!r}{did_you_mean(key, names)} (allowed: {allowed})" for key in others]
    try:
        resolved = model(**{**base, **values})
    except ValidationError as error:
        mistakes += [f"{label}: {line}" for line in validation_lines(error)]
        return None, mistakes
    return (None if mistakes else resolved), mistakes


def validation_lines(error: ValidationError) -> list[str]:
    """One line per mistake of a pydantic error: key, what was given, what is allowed."""
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "missing":
            lines.append(f"{key} is required")
        else:  # without a key: about several parameters together
            lines.append(f"{key} = {item['input']!r}: {message[:1].lower()}{message[1:]}" if key else message)
    return lines
