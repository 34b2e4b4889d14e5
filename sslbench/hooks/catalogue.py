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

from sslbench.errors import UserError, did_you_mean

GROUP = "sslbench"
KINDS = ("augmentation", "method", "masking", "evaluator", "simulator", "dataset", "backbone", "executor", "observer")


@dataclass(frozen=True)
class Entry:
    """One entry point of the group ``sslbench``."""

    point: EntryPoint
    distribution: str  # name of what brings it
    version: str  # of the distribution

    @property
    def name(self) -> str:
        """Of the entry point: ``kind.name``, or anything else for a bundle."""
        return self.point.name

    @property
    def promise(self) -> tuple[str, str] | None:
        """(kind, name) for an entry point called ``kind.name``; None for a bundle."""
        kind, dot, name = self.name.partition(".")
        return (kind, name) if dot and kind in KINDS and name else None

    @cached_property
    def summary(self) -> str:
        """First line of the module's docstring, read without importing it."""
        path = module_path(self.point.module)
        return first_doc_line(path) if path else ""


def module_path(module: str) -> Path | None:
    """Where ``a.b.c`` would be imported from. Only the top-level package is looked up; nothing is executed."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if not rest:
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    bases = [Path(root, *rest) for root in (spec and spec.submodule_search_locations) or ()]
    candidates = (path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py"))
    return next(filter(Path.is_file, candidates), None)


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


def allowed(entries: Iterable[Entry]) -> list[Entry]:
    """What ``SSLBENCH_PLUGINS`` allows: comma-separated names of distributions or entry points, ``*`` allowed. The
    built-ins' distribution, ``sslbench``, is named like any other."""
    patterns = [word.strip() for word in os.environ.get("SSLBENCH_PLUGINS", "*").split(",") if word.strip()]
    return [e for e in entries if any(fnmatch(e.name, p) or fnmatch(e.distribution, p) for p in patterns)]


def order(entry: Entry) -> tuple[int, str, str]:
    """Sort key: kind, name, distribution; bundles come last."""
    kind, name = entry.promise or ("", entry.name)
    return KINDS.index(kind) if kind else len(KINDS), name, entry.distribution


@dataclass(frozen=True)
class Catalogue:
    """All entry points, in the order of kind and name."""

    entries: tuple[Entry, ...]

    @classmethod
    def installed(cls) -> Catalogue:
        """Of everything that is installed and that ``SSLBENCH_PLUGINS`` allows."""
        # The metadata of a distribution is parsed once, not for each of its entry points.
        names: dict[int, tuple[str, str]] = {}
        entries = []
        for point in entry_points(group=GROUP):
            if point.dist is not None:
                if id(point.dist) not in names:
                    names[id(point.dist)] = point.dist.name, point.dist.version
                entries.append(Entry(point, *names[id(point.dist)]))
        return cls(tuple(sorted(allowed(entries), key=order)))

    @property
    def bundles(self) -> list[Entry]:
        """Entry points whose name promises nothing: they are loaded to find out what they bring."""
        return [entry for entry in self.entries if entry.promise is None]

    def names(self, kind: str) -> list[str]:
        """Names of a kind that entry points promise, sorted."""
        return sorted({e.promise[1] for e in self.entries if e.promise and e.promise[0] == kind})

    def owners(self, kind: str, name: str) -> list[Entry]:
        """The entry points called ``kind.name``; more than one is an error."""
        return [entry for entry in self.entries if entry.promise == (kind, name)]

    def collisions(self) -> dict[str, str]:
        """``kind.name`` -> the error message, for every name that two or more entry points promise."""
        return collisions((entry.name, entry) for entry in self.entries if entry.promise)


def collisions(owned: Iterable[tuple[str, Entry]]) -> dict[str, str]:
    """``kind.name`` -> the error message, for every name that two or more entry points own."""
    owners: dict[str, list[str]] = {}
    for name, entry in owned:
        owners.setdefault(name, []).append(entry.distribution)
    return {name: two_owners(name, *both[:2]) for name, both in owners.items() if len(both) > 1}


def two_owners(name: str, first: str, second: str) -> str:
    """The message for a name that two distributions, or one of them twice, bring."""
    if first == second:
        return f"plugin {name}: distribution {first!r} brings it twice; a name has one owner"
    both, remedy = f"both {first!r} and {second!r}", "uninstall one, or name what to load in SSLBENCH_PLUGINS"
    return f"plugin {name}: brought by {both}; a name has one owner: {remedy}"


def unknown(kind: str, name: str, names: list[str]) -> UserError:
    """The error for a name that nobody brings."""
    hint = did_you_mean(name, names) or (f"; known: {', '.join(names)}" if names else "; none is installed")
    if not names and "SSLBENCH_PLUGINS" in os.environ:
        hint += f" (SSLBENCH_PLUGINS is {os.environ['SSLBENCH_PLUGINS']!r})"
    return UserError(f"unknown {kind} {name!r}{hint} (see: sslbench list {kind})")


def check_kind(kind: str) -> str:
    """``kind`` itself, singular. Raises UserError for anything that is none."""
    singular = kind.removesuffix("s")
    if singular in KINDS:
        return singular
    raise UserError(f"unknown kind {kind!r}{did_you_mean(kind, list(KINDS))} (kinds: {', '.join(KINDS)})")
