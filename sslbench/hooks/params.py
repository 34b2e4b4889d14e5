"""Parameters of plugins: frozen pydantic models, with a description and a unit for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sslbench.errors import did_you_mean


def param(default: Any, description: str, *, unit: str = "", names: str = "", **constraints: Any) -> Any:
    """One parameter of a plugin.

    ``default`` is used when the user says nothing (``...`` makes the parameter required); ``unit`` is shown by
    ``sslbench show``; ``constraints`` are pydantic's (``gt``, ``ge``, ``lt``, ``le``, ``min_length``, ``pattern``).

    ``names``: the kind of plugin that the value names, as ``NAME`` or ``NAME:key=value`` (``build_plugin`` builds it).
    It is then looked up before anything runs, and what was measured with it is stale when its code changes.
    """
    extra: Any = {key: value for key, value in (("unit", unit), ("names", names)) if value} or None
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class Params(BaseModel):
    """The parameters of one plugin. Subclass it, one ``name: type = param(default, "what it does")`` a line."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )


def plugins_named(params: Params) -> dict[str, tuple[str, str]]:
    """Parameter -> kind and reference of the plugin that it names."""
    kinds = {
        name: field.json_schema_extra["names"]
        for name, field in type(params).model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "names" in field.json_schema_extra
    }
    return {name: (str(kind), getattr(params, name)) for name, kind in kinds.items()}


class MaskingParams(Params):
    """What every masking has: the share of patches it hides."""

    ratio: float = param(0.75, "share of the patches that are hidden", gt=0, lt=1)


class SimulatorParams(Params):
    """What every simulator has: how many seeds its verdicts rest on."""

    claim_seeds: int = param(20, "seeds that the claims are judged on, from the one given upwards", ge=1, le=1000)


class MethodParams(Params):
    """How a method is optimised. Subclasses set the paper's values as defaults.

    The learning rate in use is ``lr * batch_size / lr_batch`` (the linear scaling rule), or ``lr`` where
    ``lr_batch`` is 0.
    """

    optimizer: str = param("adamw", "update rule", pattern="^(adamw|sgd|lars)$")
    lr: float = param(1e-3, "base learning rate", gt=0)
    lr_batch: int = param(256, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    weight_decay: float = param(1e-4, "weight decay", ge=0)
    momentum: float = param(0.9, "momentum of sgd and lars", ge=0, lt=1)
    beta1: float = param(0.9, "adamw: decay of the first moment", ge=0, lt=1)
    beta2: float = param(0.999, "adamw: decay of the second moment", ge=0, lt=1)
    warmup_epochs: float = param(0, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    schedule: str = param("step", "how often the learning rate changes", pattern="^(step|epoch)$")
    lr_end: float = param(0.0, "learning rate at the end of the cosine", ge=0)
    weight_decay_end: float | None = param(None, "weight decay at the end of a cosine from `weight_decay`", ge=0)
    decay_all: bool = param(False, "decay biases and norms as well")
    lars_momentum: str = param(
        "inside",
        "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)",
        pattern="^(inside|outside)$",
    )


def resolve(
    label: str,
    model: type[Params],
    given: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    preset: str | None = None,
) -> tuple[Params | None, list[str]]:
    """Defaults, then the preset, then what was given. Answers the parameters, or None and one line per mistake.

    ``preset`` is the suite's wish and ignored by a plugin that has none of that name; ``preset`` among ``given``
    is the user's and must exist. ``label`` names the plugin in messages: ``method 'simclr'``.
    """
    presets = presets or {}
    values = dict(given)
    mistakes: list[str] = []
    chosen = values.pop("preset", None) if "preset" not in model.model_fields else None
    if chosen is not None and chosen not in presets and chosen != "default":
        allowed = ", ".join(["default", *presets])
        mistakes.append(f"{label}: no preset {chosen!r}; allowed: {allowed}")
    base = presets.get(preset or "", {}) if chosen is None else presets.get(str(chosen), {})
    names = list(model.model_fields)
    for key in [key for key in values if key not in names]:
        del values[key]
        allowed = ", ".join(names) or "none, it has no parameters"
        mistakes.append(f"{label}: unknown parameter {key!r}{did_you_mean(key, names)} (allowed: {allowed})")
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
        if item["type"] == "missing":
            lines.append(f"{key} is required")
            continue
        what = item["msg"].removeprefix("Value error, ")
        if not key:  # about several parameters together
            lines.append(what)
            continue
        what = what[:1].lower() + what[1:]
        lines.append(f"{key} = {item['input']!r}: {what}")
    return lines
