"""Which pretrained models are on this machine, the best first, where the user names none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.contracts.defaults import PRETRAINED
from sslbench.contracts.method import MethodSpec
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry
from sslbench.plan.reference import Reference

MOST = 3
"""published models that are tried by default"""
PATTERNS = ("*/config.json", "*/*/config.json")
"""where exported folders are looked for, below the current one"""
NONE = (
    "No pretrained model can be had here: none is in the cache, no exported folder lies below the current one, and"
    " fetching was not allowed (--download). What follows are baselines only; a pretrained model usually does far"
    " better."
)


@dataclass(frozen=True)
class Available:
    """Models to try, and a note for the user where there is none."""

    references: tuple[Reference, ...]
    note: str = ""


def available(registry: Registry, download: bool, folder: Path | None = None) -> Available:
    """The published models whose weights are in the cache, in the order of the presets of ``pretrained`` (with
    ``download`` the first of them in any case), then the exported folders below ``folder`` (default: the current)."""
    if PRETRAINED not in registry.names("method"):
        return Available((), f"the method {PRETRAINED!r} is not installed; what follows are baselines only")
    published = list(cached_presets(registry))[:MOST]
    if not published and download:
        published = list(presets(registry))[:1]
    references = [Reference(PRETRAINED, {"preset": name}, "--model") for name in published]
    references += [Reference(PRETRAINED, {"path": str(path)}, "--model") for path in exported_folders(folder or Path())]
    return Available(tuple(references), "" if references else NONE)


def presets(registry: Registry) -> Mapping[str, Mapping[str, Any]]:
    """Published models by name, with the parameters of the method."""
    return registry.get("method", PRETRAINED).presets


def cached_presets(registry: Registry) -> Iterator[str]:
    """Presets that can be built without fetching anything."""
    spec = registry.get("method", PRETRAINED)
    assert isinstance(spec, MethodSpec)
    for name, values in spec.presets.items():
        try:
            if spec.fetches is None or not spec.fetches(spec.params(**values)):
                yield name
        except SslbenchError:  # a name that this version of timm does not have
            continue


def exported_folders(folder: Path) -> list[Path]:
    """Folders that ``sslbench export`` wrote, the newest first."""
    configs = [path for pattern in PATTERNS for path in folder.glob(pattern)]
    ours = [path for path in configs if (path.parent / "model.safetensors").is_file() and is_ours(path)]
    return [path.parent for path in sorted(ours, key=lambda path: (-path.stat().st_mtime_ns, str(path)))]


def is_ours(config: Path) -> bool:
    """Whether ``sslbench export`` wrote this configuration."""
    try:
        return "sslbench" in json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
