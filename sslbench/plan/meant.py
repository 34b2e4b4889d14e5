"""What a reference means that names no plugin: a path, or a preset of a plugin."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import AfterValidator

from sslbench.contracts.defaults import LABELLED_IMAGES, PARQUET, PRETRAINED
from sslbench.contracts.params import Params, resolved_path
from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.reference import Reference

ENDINGS = (".parquet", ".csv")
"""of files that a data set is read from"""


def meant(kind: str, reference: Reference, registry: Registry) -> Reference:
    """The plugin behind a path: of a data set, which is a folder of labelled images or parquet files, or of a model.
    Any other reference is itself. Raises UserError for a table of labels."""
    if kind not in ("dataset", "method") or not is_path(reference.name, kind, registry):
        return reference
    text = reference.name
    if kind == "method":
        return Reference(PRETRAINED, {"path": text, **reference.given}, reference.where)
    ending = Path(text).suffix.lower()
    if ending == ".csv":
        written = f"{LABELLED_IMAGES}:root=FOLDER,labels={text}"
        raise UserError(f"{text} is a table of labels; write {written}, with the folder of the images")
    name, key = (PARQUET, "path") if ending == ".parquet" else (LABELLED_IMAGES, "root")
    return Reference(name, {key: text, **reference.given}, reference.where)


def is_path(text: str, kind: str, registry: Registry) -> bool:
    """Whether a name is a path: no plugin has it, and it looks like one or something lies there."""
    looks_so = "/" in text or text.startswith((".", "~")) or text.lower().endswith(ENDINGS)
    return text not in registry.names(kind) and (looks_so or exists(text))


def exists(text: str) -> bool:
    """Whether something lies there; false for what cannot be a path."""
    try:
        return Path(os.path.expanduser(text)).exists()
    except (OSError, ValueError):
        return False


def key_hint(kind: str, written: object, registry: Registry) -> str:
    """What to write for ``NAME:VALUE``: the preset of that name, else the parameter that is required or a path."""
    name, _, value = written.partition(":") if isinstance(written, str) else ("", "", "")
    if not value or "=" in value or name not in registry.names(kind):
        return ""
    spec = registry.get(kind, name)
    fields = spec.params.model_fields
    keys = [key for key, field in fields.items() if field.is_required()]
    keys += [key for key in fields if is_path_parameter(spec.params, key)]
    key = "preset" if value in spec.presets else next(iter(keys), "")
    return f"; write {name}:{key}={value}" if key else ""


def is_path_parameter(model: type[Params], name: str) -> bool:
    """Whether the parameter is a path, of which one place has one value."""
    return AfterValidator(resolved_path) in model.model_fields[name].metadata


def preset_hint(kind: str, name: str, registry: Registry) -> str:
    """What to write for the name of a preset, or nothing where no plugin of the kind has such a preset."""
    for plugin in registry.names(kind):
        try:
            presets = registry.get(kind, plugin).presets
        except SslbenchError:
            continue
        if name in presets:
            return f"; it is a preset of {plugin}: write {plugin}:preset={name}"
    return ""
