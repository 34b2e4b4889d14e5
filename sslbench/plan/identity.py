"""What code made a result: distribution and version, and for an editable install a digest of the source."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sslbench.hooks.catalogue import Entry, module_path

HARNESS = ("sslbench.train", "sslbench.evaluate", "sslbench.execute.worker")
"""What of the harness itself can change a result."""


def plugin_identity(entry: Entry) -> str:
    """``distribution version``, and ``+digest`` for an editable install."""
    label = f"{entry.distribution} {entry.version}"
    if not is_editable(entry.distribution):
        return label
    return f"{label}+{digest_of((entry.point.module,))}"


def harness_identity() -> str:
    """The same for the training loop, feature extraction and worker."""
    label = f"sslbench {distribution('sslbench').version}"
    return f"{label}+{digest_of(HARNESS)}" if is_editable("sslbench") else label


@lru_cache
def is_editable(name: str) -> bool:
    """Whether a distribution is installed as a link to its source, which may change under the same version."""
    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return False
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))


@lru_cache
def digest_of(modules: tuple[str, ...]) -> str:
    """Digest of the sources of ``modules`` and of what they import from their own top-level packages.

    The public door ``sslbench`` itself is a contract, not code that computes, and is left out.
    """
    seen: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = module_path(module)
        if path is None or module in seen or module == "sslbench":
            continue
        seen[module] = path
        if path.name == "__init__.py" and module in modules:
            waiting += [f"{module}.{child.stem}" for child in path.parent.glob("*.py") if child.stem != "__init__"]
        waiting += [name for name in imports_of(module, path) if name.split(".")[0] == module.split(".")[0]]
    digest = hashlib.blake2b(digest_size=6)
    for module, path in sorted(seen.items()):
        digest.update(module.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def imports_of(module: str, path: Path) -> list[str]:
    """Absolute names of everything a module's source imports; names that are no modules lead nowhere."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names
