"""Which pretrained models are on this machine, the best first, where the user names none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from sslbench.advise.defaults import RAW_PIXELS, UNTRAINED
from sslbench.advise.folder import READ_SIZE
from sslbench.advise.frozen import Model, Settings
from sslbench.contracts.defaults import PRETRAINED
from sslbench.contracts.method import MethodSpec
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import chosen
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


def models_to_try(
    models: Sequence[Reference], settings: Settings, registry: Registry, folder: Path | None = None
) -> tuple[list[Reference], str]:
    """The models that the user names, else those that are ``available``, but for those whose licence does not allow
    what the settings ask for, and found ones that cannot be built; and a note for the user on these, or where there
    is none."""
    references, note = (list(models), "") if models else available(registry, settings.download, folder)
    reasons = [
        forbidden(reference, settings, registry) or ("" if models else unusable(reference, settings, registry))
        for reference in references
    ]
    pairs = list(zip(references, reasons, strict=True))
    lines = [f"{one} is left out: {why}." for one, why in pairs if why]
    return [reference for reference, why in pairs if not why], " ".join([*lines, *([note] if note else [])])


def unusable(reference: Reference, settings: Settings, registry: Registry) -> str:
    """Why a model that was found cannot be built; empty where it can."""
    try:
        Model.of(reference, registry).build(READ_SIZE, settings)
    except SslbenchError as error:
        return error.messages[0]
    return ""


def forbidden(reference: Reference, settings: Settings, registry: Registry) -> str:
    """Why the licence of a model does not allow what the settings ask for; empty where it does."""
    if settings.licence == "any":
        return ""
    choice: Choice[MethodSpec] = chosen("method", reference, registry)
    unnamed = choice.spec.licence is None and choice.name not in (RAW_PIXELS, UNTRAINED)
    reasons = ["its plugin names no licence"] if unnamed else []
    for label, licence in choice.licences():
        if why := licence.why_not_commercial:
            reasons.append(why if label == choice.spec.label else f"{label}: {why}")
    return f"{'; '.join(reasons)} (--licence {settings.licence})" if reasons else ""


def available(registry: Registry, download: bool, folder: Path | None = None) -> tuple[list[Reference], str]:
    """The published models whose weights are in the cache, in the order of the presets of ``pretrained`` (with
    ``download`` the first of them in any case), then the exported folders below ``folder`` (default: the current); and
    a note for the user where there is none."""
    if PRETRAINED not in registry.names("method"):
        return [], f"the method {PRETRAINED!r} is not installed; what follows are baselines only"
    published = list(cached_presets(registry))[:MOST]
    if not published and download:
        published = list(registry.get("method", PRETRAINED).presets)[:1]
    given = [{"preset": name} for name in published]
    given += [{"path": str(path)} for path in exported_folders(folder or Path())]
    return [Reference(PRETRAINED, values, "--model") for values in given], "" if given else NONE


def cached_presets(registry: Registry) -> Iterator[str]:
    """Presets that can be built without fetching anything, each model by the first of its names."""
    spec = registry.get("method", PRETRAINED)
    assert isinstance(spec, MethodSpec)
    models = list(spec.presets.values())
    for index, (name, values) in enumerate(spec.presets.items()):
        if values in models[:index]:
            continue
        try:
            if not any(chosen("method", Reference(PRETRAINED, {"preset": name}), registry).fetches()):
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
