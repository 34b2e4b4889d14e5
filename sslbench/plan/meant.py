"""What a reference means that names no plugin: a path, or a preset of a plugin."""

from __future__ import annotations

from pathlib import Path

from sslbench.contracts.defaults import LABELLED_IMAGES, PARQUET, PRETRAINED
from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.reference import Reference


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
    return text not in registry.names(kind) and ("/" in text or text.startswith((".", "~")) or exists(text))


def exists(text: str) -> bool:
    """Whether something lies there; false for what cannot be a path."""
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


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
