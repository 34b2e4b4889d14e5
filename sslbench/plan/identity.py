"""Which code made a result: distribution, version, and a digest of the sources that are there, of an editable install
and of a plain one alike, so that a reinstall under the same version is noticed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from sslbench.hooks.catalogue import Entry, module_path

HARNESS = ("sslbench.contracts", "sslbench.train", "sslbench.evaluate", "sslbench.execute.worker")
"""Where the code of the harness starts that computes results: training, features, evaluation."""
COMPUTES_NOTHING = (
    "sslbench.errors",
    "sslbench.hooks",
    "sslbench.plan",
    "sslbench.store",
    "sslbench.contracts.simulator",
    "sslbench.execute.events",
    "sslbench.measure.machine",
    "sslbench.measure.memory",
    "sslbench.measure.step_clock",
)
"""What that code imports to find, describe, time or store: no metric depends on it, and an edit makes nothing stale."""


def plugin_identity(entry: Entry) -> str:
    """``distribution version+digest`` of a plugin's module and what it imports; without digest where no source is."""
    return f"{entry.distribution} {entry.version}+{digest_of((entry.point.module,))}".rstrip("+")


def harness_identity() -> str:
    """The same for the training loop, feature extraction and evaluation."""
    return f"sslbench {version('sslbench')}+{digest_of(HARNESS)}".rstrip("+")


@lru_cache
def digest_of(modules: tuple[str, ...]) -> str:
    """48 bits, in hex, of the sources of ``modules`` and of what they import; empty where there is no source."""
    sources = sources_of(modules)
    digest = hashlib.blake2b(digest_size=6)
    for module, source in sorted(sources.items()):
        digest.update(module.encode() + b"\0" + source.content)
    return digest.hexdigest() if sources else ""


@dataclass(frozen=True)
class Source:
    """One module's source."""

    path: Path
    content: bytes
    imports: tuple[str, ...]  # absolute names of everything it imports; names that are no modules lead nowhere


def sources_of(modules: tuple[str, ...]) -> dict[str, Source]:
    """The sources of ``modules``, of the modules in them where they are packages, and of what Python imports with them
    from their own top-level packages, directly or not; but for the door ``sslbench`` and what computes nothing."""
    sources: dict[str, Source] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        source = source_of(module) if module not in sources and computes(module) else None
        if source is None:
            continue
        sources[module] = source
        if module in modules and source.path.name == "__init__.py":
            waiting += [f"{module}.{child.stem}" for child in source.path.parent.glob("[!_]*.py")]
        top, dot, _ = module.partition(".")
        waiting += [name for name in source.imports if name.partition(".")[0] == top]
        waiting += [module.rpartition(".")[0]] if dot else []
    return sources


def computes(module: str) -> bool:
    """Whether results may depend on the code of a module."""
    return module != "sslbench" and not any(f"{module}.".startswith(f"{name}.") for name in COMPUTES_NOTHING)


@cache
def source_of(module: str) -> Source | None:
    """A module's source as it was first read by this process, or None."""
    path = module_path(module)
    if path is None:
        return None
    content = path.read_bytes()
    return Source(path, content, tuple(imports_of(module, path.name == "__init__.py", content)))


def imports_of(module: str, is_package: bool, content: bytes) -> Iterator[str]:
    """Absolute names of everything that a module's source imports; none where it does not parse."""
    package = module if is_package else module.rpartition(".")[0]
    try:
        tree = ast.parse(content)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            parents = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
