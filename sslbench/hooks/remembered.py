"""Parameters and presets of all plugins in a file, so that a shell completes them without importing a plugin."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sslbench.hooks.catalogue import Catalogue
from sslbench.hooks.user_paths import user_cache

Remembered = dict[str, dict[str, Any]]
"""``kind.name`` -> ``presets``: names; ``parameters``: name -> ``help`` and ``words``, the values that are allowed;
``trains``: whether it is a method that is trained"""


def cache_path() -> Path:
    """``parameters.json`` in ``sslbench`` of the user's cache folder ($XDG_CACHE_HOME, ~/.cache)."""
    return user_cache() / "parameters.json"


def installed() -> list[list[str]]:
    """Entry point, distribution and version of everything that is installed."""
    return [[entry.name, entry.distribution, entry.version] for entry in Catalogue.installed().entries]


def remembered() -> Remembered:
    """What the file says; nothing where there is none, or it is damaged."""
    try:
        return dict(json.loads(cache_path().read_text(encoding="utf-8"))["plugins"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def is_current() -> bool:
    """Whether the file is of what is installed now."""
    try:
        return bool(json.loads(cache_path().read_text(encoding="utf-8"))["installed"] == installed())
    except (OSError, ValueError, TypeError, KeyError):
        return False


def remember() -> None:
    """Load every plugin and write the file. A broken plugin, and a folder that cannot be written, change nothing."""
    from sslbench.hooks.registry import Registry

    plugins: Remembered = {}
    for loaded in Registry().load_all():
        for spec in loaded.specs:
            schema = spec.params.model_json_schema().get("properties", {})
            parameters = {
                name: {"help": field.description or "", "words": schema.get(name, {}).get("enum", [])}
                for name, field in spec.params.model_fields.items()
            }
            plugins[f"{spec.kind}.{spec.name}"] = {
                "presets": list(spec.presets),
                "parameters": parameters,
                "trains": getattr(spec, "trains", False),
            }
    path = cache_path()
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"installed": installed(), "plugins": plugins}), encoding="utf-8")
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
