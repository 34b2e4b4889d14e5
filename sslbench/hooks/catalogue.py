"""What is installed, read from metadata alone: no plugin is imported here."""

from __future__ import annotations

import ast
import importlib.util
import os
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sslbench.errors import PluginError, UserError, did_you_mean

GROUP = "sslbench"
KINDS = (
    "augmentation",
    "method",
    "masking",
    "evaluator",
    "simulator",
    "dataset",
    "backbone",
    "executor",
)


@dataclass(frozen=True)
class Entry:
    """One entry point of the group ``sslbench``."""

    point: EntryPoint
    distribution: str
    version: str

    @property
    def name(self) -> str:
        return self.point.name

    @property
    def promise(self) -> tuple[str, str] | None:
        """(kind, name) for an entry point called ``kind.name``; None for a bundle."""
        kind, dot, name = self.name.partition(".")
        return (kind, name) if dot and kind in KINDS and name else None

    @cached_property
    def path(self) -> Path | None:
        """The source file of its module, found without importing anything."""
        return module_path(self.point.module)

    @cached_property
    def summary(self) -> str:
        """First line of the module's docstring, read without importing it."""
        return first_doc_line(self.path) if self.path else ""


def module_path(module: str) -> Path | None:
    """Where ``a.b.c`` would be imported from. Only the top-level package is looked up; nothing is executed."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in spec.submodule_search_locations or ():
        base = Path(root, *rest)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def first_doc_line(path: Path) -> str:
    """First line of a module's docstring; empty where there is none or the file does not parse."""
    try:
        with tokenize.open(path) as file:
            for token in tokenize.generate_tokens(file.readline):
                if token.type == tokenize.STRING:
                    text = ast.literal_eval(token.string)
                    return text.strip().partition("\n")[0].strip() if isinstance(text, str) else ""
                if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING):
                    return ""
    except (OSError, SyntaxError, ValueError):
        pass
    return ""


def limited(entries: Iterable[Entry]) -> list[Entry]:
    """What ``SSLBENCH_PLUGINS`` leaves: comma-separated names of distributions or entry points, ``*`` allowed.

    Built-ins have no privilege: their distribution is called ``sslbench`` and is named like any other.
    """
    wanted = os.environ.get("SSLBENCH_PLUGINS")
    if wanted is None:
        return list(entries)
    patterns = [word.strip() for word in wanted.split(",") if word.strip()]
    return [
        entry
        for entry in entries
        if any(fnmatch(entry.name, pattern) or fnmatch(entry.distribution, pattern) for pattern in patterns)
    ]


@dataclass(frozen=True)
class Catalogue:
    """All entry points, in the order of kind and name."""

    entries: tuple[Entry, ...]

    @classmethod
    def installed(cls) -> Catalogue:
        found = [
            Entry(point, point.dist.name, point.dist.version)
            for point in entry_points(group=GROUP)
            if point.dist is not None
        ]
        order = {kind: place for place, kind in enumerate(KINDS)}

        def place(entry: Entry) -> tuple[int, str, str]:
            kind, name = entry.promise or ("", entry.name)
            return order.get(kind, len(order)), name, entry.distribution

        return cls(tuple(sorted(limited(found), key=place)))

    @property
    def bundles(self) -> list[Entry]:
        """Entry points whose name promises nothing: they are loaded to see what they bring."""
        return [entry for entry in self.entries if entry.promise is None]

    def names(self, kind: str) -> list[str]:
        return sorted({e.promise[1] for e in self.entries if e.promise and e.promise[0] == kind})

    def owners(self, kind: str, name: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.promise == (kind, name)]

    def collisions(self) -> dict[str, list[str]]:
        """``kind.name`` -> the distributions that claim it, where there are two or more claims."""
        claims: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.promise:
                claims.setdefault(entry.name, []).append(entry.distribution)
        return {name: owners for name, owners in claims.items() if len(owners) > 1}

    def owner(self, kind: str, name: str) -> Entry | None:
        """The one entry point called ``kind.name``, or None. Raises PluginError where there are two."""
        owners = self.owners(kind, name)
        if len(owners) > 1:
            raise PluginError(two_owners(f"{kind}.{name}", [entry.distribution for entry in owners]))
        return owners[0] if owners else None


def two_owners(name: str, distributions: list[str]) -> str:
    """The message for a name that two distributions (or one, twice) bring."""
    first, second = distributions[0], distributions[1]
    if first == second:
        return f"plugin {name}: distribution {first!r} brings it twice; a name has one owner"
    return (
        f"plugin {name}: brought by both {first!r} and {second!r}; a name has one owner:"
        " uninstall one, or name what to load in SSLBENCH_PLUGINS"
    )


def unknown(kind: str, name: str, names: list[str]) -> UserError:
    """The error for a name that nobody brings."""
    hint = did_you_mean(name, names) or (f"; known: {', '.join(names)}" if names else "; none is installed")
    if not names and "SSLBENCH_PLUGINS" in os.environ:
        hint += f" (SSLBENCH_PLUGINS is {os.environ['SSLBENCH_PLUGINS']!r})"
    return UserError(f"unknown {kind} {name!r}{hint} (see: sslbench list {kind})")


def check_kind(kind: str) -> str:
    """``kind`` itself, singular. Raises UserError for anything that is not one of the eight."""
    if kind in KINDS:
        return kind
    if kind.endswith("s") and kind[:-1] in KINDS:
        return kind[:-1]
    raise UserError(f"unknown kind {kind!r}{did_you_mean(kind, list(KINDS))} (kinds: {', '.join(KINDS)})")
