"""Which code made a result: distribution, version, and a digest of the sources that are there, of an editable install
and of a plain one alike, so that a reinstall under the same version is noticed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from sslbench.hooks.catalogue import Entry, module_path

HARNESS = ("sslbench.contracts", "sslbench.train", "sslbench.evaluate", "sslbench.execute.worker")
"""Where the code of the harness starts that computes results: training, features, evaluation."""
COMPUTES_NOTHING = (
    "sslbench.draw",
    "sslbench.errors",
    "sslbench.hooks",
    "sslbench.plan",
    "sslbench.store",
    "sslbench.contracts.observer",
    "sslbench.contracts.simulator",
    "sslbench.execute.events",
    "sslbench.execute.launch",
    "sslbench.measure.clocks",
    "sslbench.measure.device_errors",
    "sslbench.measure.energy",
    "sslbench.measure.machine",
    "sslbench.measure.memory",
    "sslbench.measure.step_clock",
    "sslbench.train.view_pictures",
)
"""What it imports to find, describe, time, draw or store: no metric depends on it, and an edit makes nothing stale."""
LARGE = 64_000_000
"""bytes"""


def plugin_identity(entry: Entry) -> str:
    """``distribution version+digest`` of a plugin's module, what it imports from its distribution, and what else lies
    beside these, such as compiled modules and tables; without digest where no file is."""
    digest = digest_of((entry.point.module,), packages_of(entry))
    return f"{entry.distribution} {entry.version}+{digest}".rstrip("+")


def packages_of(entry: Entry) -> tuple[str, ...]:
    """The top-level names that a plugin's distribution installs, as far as it says; the plugin's own is among them."""
    names = {entry.point.module.partition(".")[0]}
    distribution = entry.point.dist
    if distribution is not None and entry.distribution != "sslbench":
        names |= set((distribution.read_text("top_level.txt") or "").split())
        files = [file for file in distribution.files or () if file.suffix == ".py"]
        names |= {file.parts[0].removesuffix(".py") for file in files}
    return tuple(sorted(names))


def harness_identity() -> str:
    """The same for the training loop, feature extraction and evaluation."""
    return f"sslbench {version('sslbench')}+{digest_of(HARNESS)}".rstrip("+")


@lru_cache
def digest_of(modules: tuple[str, ...], packages: tuple[str, ...] = ()) -> str:
    """48 bits, in hex, of the sources of ``modules`` and of what they import, and with ``packages`` (see
    ``sources_of``) of the other files beside them; empty where there is none."""
    sources = sources_of(modules, packages)
    digest = hashlib.blake2b(digest_size=6)
    for module, source in sorted(sources.items()):
        digest.update(module.encode() + b"\0" + source.content)
    for path in others_beside(source.path for module, source in sources.items() if packages):
        digest.update(path.name.encode() + b"\0" + content_of(path))
    return digest.hexdigest() if sources else ""


def others_beside(paths: Iterable[Path]) -> list[Path]:
    """What is no Python source in the folders of packages that hold these modules: compiled modules, tables."""
    folders = {path.parent for path in paths if (path.parent / "__init__.py").is_file()}
    files = [file for folder in sorted(folders) for file in sorted(folder.iterdir())]
    return [file for file in files if file.is_file() and file.suffix not in (".py", ".pyc", ".pyi", ".md")]


def content_of(path: Path) -> bytes:
    """Of a file; of a large one its size and time."""
    facts = path.stat()
    return path.read_bytes() if facts.st_size < LARGE else f"{facts.st_size} {facts.st_mtime_ns}".encode()


@dataclass(frozen=True)
class Source:
    """One module's source."""

    path: Path
    content: bytes
    imports: tuple[str, ...]  # absolute names of everything it imports; names that are no modules lead nowhere


def sources_of(modules: tuple[str, ...], packages: tuple[str, ...] = ()) -> dict[str, Source]:
    """The sources of ``modules``, of the modules in them where they are packages, and of what Python imports with them
    from their own top-level packages and ``packages``, directly or not; but for the door ``sslbench`` and what computes
    nothing."""
    sources: dict[str, Source] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        source = source_of(module) if module not in sources and computes(module) else None
        if source is None:
            # A compiled module has no source; the package that holds it has.
            waiting += [module.rpartition(".")[0]] if module in modules and "." in module else []
            continue
        sources[module] = source
        if module in modules and source.path.name == "__init__.py":
            waiting += [f"{module}.{child.stem}" for child in source.path.parent.glob("[!_]*.py")]
        top, dot, _ = module.partition(".")
        waiting += [name for name in source.imports if name.partition(".")[0] in (top, *packages)]
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
