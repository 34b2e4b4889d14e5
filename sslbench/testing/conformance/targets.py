"""What is to be checked: a plugin by name, a module, a file, a distribution, or everything that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sslbench.contracts.plugin import Spec
from sslbench.errors import SslbenchError, UserError, did_you_mean, quoted
from sslbench.hooks.catalogue import KINDS, Entry
from sslbench.hooks.registry import Registry, one_line
from sslbench.plan.reference import parse_reference
from sslbench.testing.conformance.effects import process_stays
from sslbench.testing.conformance.fault import Fault, Place, raised_at

LOADS = "A plugin that cannot be imported, promises what it does not bring, or misspells a hook is left out"
AT_IMPORT = "What a plugin changes for the whole process when it is imported is put back and named"
ALLOWED = (
    "a plugin (kind.name), a module (my_package.noise), a file (noise.py), a distribution (my-package) or the folder of"
    " one that is installed"
)


@dataclass
class Target:
    """One plugin that is to be checked."""

    kind: str
    name: str
    spec: Spec | None
    """None where it cannot be loaded"""
    distribution: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """of loading it"""


def targets_of(texts: Sequence[str], everything: bool, settings: Sequence[str], registry: Registry) -> list[Target]:
    """Those that the words of a command line name, each once. Raises UserError, one line for each that names nothing
    and for a parameter that none of them has."""
    found: list[Target] = []
    mistakes: list[str] = []
    with process_stays():
        for text in texts:
            try:
                found += targets_named(text, registry)
            except UserError as error:
                mistakes += error.messages
        if everything:
            found += [target for entry in registry.catalogue.entries for target in of_entry(entry, registry)]
    for setting in settings:
        mistakes += give(setting, found)
    if mistakes:
        raise UserError(*mistakes)
    return list({(target.kind, target.name, target.distribution): target for target in found}.values())


def give(setting: str, targets: Sequence[Target]) -> list[str]:
    """Give a parameter to those that have it; a line where none has."""
    given = parse_reference(f"any:{setting}", "--set").given
    for key, value in given.items():
        takers = [target for target in targets if target.spec and key in target.spec.params.model_fields]
        for target in takers:
            target.given[key] = value
        if not takers:
            known = sorted({name for target in targets if target.spec for name in target.spec.params.model_fields})
            return [f"--set {setting}: no plugin here has a parameter {quoted(key)}{did_you_mean(key, known)}"]
    return []


def targets_named(text: str, registry: Registry) -> list[Target]:
    """Those of one word. Raises UserError where it names nothing."""
    kind, dot, rest = text.partition(".")
    if dot and kind in KINDS:
        reference = parse_reference(rest)
        registry.get(kind, reference.name)
        targets = of_entry(registry.entry_of(kind, reference.name), registry, (kind, reference.name))
        for target in targets:
            target.given |= reference.given
        return targets
    path = Path(text).expanduser()
    if text.endswith(".py") or path.is_file():
        if not path.is_file():
            raise UserError(f"{quoted(text)}: no such file; allowed: {ALLOWED}")
        return of_module(lambda: from_file(path), str(path))
    entries = of_distribution(text, registry)
    entries += [e for e in registry.catalogue.entries if within(e.point.module, text) and e not in entries]
    if not entries and path.is_dir() and not (path / "__init__.py").is_file():
        entries = of_folder(path, registry)
    if entries:
        return [target for entry in entries for target in of_entry(entry, registry)]
    if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", text) and is_module(text):
        return of_module(lambda: importlib.import_module(text), text)
    names = [e.distribution for e in registry.catalogue.entries] + [e.name for e in registry.catalogue.entries]
    raise UserError(f"{quoted(text)} is nothing to check{did_you_mean(text, names)}; allowed: {ALLOWED}")


def of_distribution(name: str, registry: Registry) -> list[Entry]:
    """What an installed distribution brings."""
    return [entry for entry in registry.catalogue.entries if canonical(entry.distribution) == canonical(name)]


def of_folder(folder: Path, registry: Registry) -> list[Entry]:
    """What the distribution brings whose project a folder is. Raises UserError where it is none, or not installed."""
    where = quoted(str(folder))
    try:
        name = str(tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{where} is a folder whose pyproject.toml names no package; allowed: {ALLOWED}") from None
    entries = of_distribution(name, registry)
    if not entries:
        raise UserError(f"{where}: no plugin of {name!r} is installed: pip install -e {folder}, then again")
    return entries


def canonical(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def within(module: str, package: str) -> bool:
    """Whether a module is this one or in it."""
    return f"{module}.".startswith(f"{package}.")


def is_module(name: str) -> bool:
    """Whether there is a module of this name, here or installed."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def from_file(path: Path) -> ModuleType:
    """The module of a file, whose neighbours it may import. Raises whatever it raises."""
    folder, name = str(path.resolve().parent), path.stem
    if folder not in sys.path:
        sys.path.insert(0, folder)
    known = sys.modules.get(name)
    if known is not None and Path(getattr(known, "__file__", "") or "").resolve() == path.resolve():
        return known
    place = importlib.util.spec_from_file_location(name if known is None else f"{name}_of_a_file", path)
    if place is None or place.loader is None:
        raise UserError(f"{path}: no file of Python")
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    return module


def of_module(load: Any, name: str) -> list[Target]:
    """What the hooks of a module bring. Raises UserError where it has none."""
    try:
        module = load()
        specs = list(specs_of(module))
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        fault = Fault(f"cannot be loaded: {one_line(error)}", LOADS, failed_at(error))
        return [Target("module", name, None, faults=[fault])]
    if not specs:
        hooks = ", ".join(f"sslbench_{kind}s" for kind in KINDS)
        raise UserError(f"{name}: it has no hook that brings a plugin (one of {hooks})")
    return [Target(spec.kind, spec.name, spec) for spec in specs]


def specs_of(module: ModuleType) -> Iterator[Spec]:
    """What its hooks return. Raises TypeError for anything that is no spec."""
    for kind in KINDS:
        hook = getattr(module, f"sslbench_{kind}s", None)
        returned = hook() if hook is not None else []
        for spec in returned if isinstance(returned, (list, tuple)) else [returned]:
            if not isinstance(spec, Spec) or spec.kind != kind:
                raise TypeError(f"sslbench_{kind}s must return a list of {kind.capitalize()}Spec")
            yield spec


def of_entry(entry: Entry, registry: Registry, only: tuple[str, str] | None = None) -> list[Target]:
    """What an entry point brings; of a bundle that one plugin, or all."""
    loaded, distribution = registry.load(entry, report=False), f"{entry.distribution} {entry.version}"
    faults = [Fault(f"it {loaded.put_back}", AT_IMPORT)] if loaded.changed else []
    if loaded.failure:
        kind, name = entry.promise or ("bundle", entry.name)
        place = failed_at(reason_of(entry))
        faults.append(Fault(f"cannot be loaded: {loaded.failure}", LOADS, place))
        return [Target(kind, name, None, distribution, faults=faults)]
    specs = [spec for spec in loaded.specs if only in (None, (spec.kind, spec.name))]
    return [Target(spec.kind, spec.name, spec, distribution, faults=list(faults)) for spec in specs]


def reason_of(entry: Entry) -> BaseException | None:
    """What is raised where the plugin is imported once more."""
    try:
        entry.point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


def failed_at(error: BaseException | None) -> Place | None:
    """File and line of an error at import."""
    if isinstance(error, SyntaxError) and error.filename:
        return Place(error.filename, error.lineno or 1)
    return None if error is None or isinstance(error, SslbenchError) else raised_at(error, None)
