"""What a reference means that names no plugin: a path, or a preset of a plugin."""

from __future__ import annotations

import os
from collections import Counter
from mimetypes import guess_type
from pathlib import Path

from pydantic import AfterValidator

from sslbench.contracts.defaults import BY_ENDING, LABELLED_IMAGES, PRETRAINED, SAVED_BY_DATASETS
from sslbench.contracts.params import Params, resolved_path
from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.reference import Reference

ENDINGS = (*BY_ENDING, ".csv")
"""of files that a data set is read from"""
SAVED = ("dataset_dict.json", "state.json")
"""files of folders that Hugging Face's `datasets` saves"""
DEPTH = 2
"""folders below a folder whose files tell what it holds"""


def meant(kind: str, reference: Reference, registry: Registry) -> Reference:
    """The plugin behind a path: of a data set, which is a folder of labelled images, files of one of the endings or a
    folder of such files, or of a model. Any other reference is itself. Raises UserError for a table of labels."""
    if kind not in ("dataset", "method") or not is_path(reference.name, kind, registry):
        return reference
    text = reference.name
    if kind == "method":
        return Reference(PRETRAINED, {"path": text, **reference.given}, reference.where)
    ending = Path(text).suffix.lower()
    if ending == ".csv":
        written = f"{LABELLED_IMAGES}:root=FOLDER,labels={text}"
        raise UserError(f"{text} is a table of labels; write {written}, with the folder of the images")
    name = BY_ENDING.get(ending) or read_from(text) or LABELLED_IMAGES
    return Reference(name, {"root" if name == LABELLED_IMAGES else "path": text, **reference.given}, reference.where)


def read_from(text: str) -> str | None:
    """The data set that reads a folder of files that are no images, by their ending; None for any other path."""
    folder = os.path.expanduser(text)
    try:
        if any(os.path.isfile(os.path.join(folder, name)) for name in SAVED):
            return SAVED_BY_DATASETS
    except ValueError:
        return None
    counts: Counter[str] = Counter()
    for base, folders, names in os.walk(folder):
        depth = os.path.relpath(base, folder).count(os.sep) + (base != folder)
        folders[:] = [name for name in folders if depth < DEPTH and not name.startswith(".")]
        if any((guess_type(name)[0] or "").startswith("image/") for name in names):
            return None
        counts.update(Path(name).suffix.lower() for name in names)
    most = [ending for ending, _ in counts.most_common() if ending in BY_ENDING]
    return BY_ENDING[most[0]] if most else None


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
