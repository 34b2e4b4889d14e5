"""Loads plugins, each on its own, so that a broken one hurts nobody who does not need it."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TextIO

import pluggy

from sslbench.contracts.plugin import Spec
from sslbench.errors import PluginError
from sslbench.hooks import specs
from sslbench.hooks.catalogue import KINDS, Catalogue, Entry, two_owners, unknown


@dataclass(frozen=True)
class Loaded:
    """One plugin after the attempt to load it."""

    entry: Entry
    specs: tuple[Spec, ...] = ()
    failure: str = ""
    """why it is broken, one line; empty for a good one"""


@dataclass
class Registry:
    """Specs by kind and name. Modules are imported when they are first asked for."""

    catalogue: Catalogue = field(default_factory=Catalogue.installed)
    stderr: TextIO | None = None

    def __post_init__(self) -> None:
        self._manager = pluggy.PluginManager("sslbench")
        self._manager.add_hookspecs(specs)
        self._loaded: dict[int, Loaded] = {}
        self._announced: set[int] = set()

    def get(self, kind: str, name: str) -> Spec:
        """The spec called ``name``. Raises UserError if nobody brings it, PluginError if its plugin is broken."""
        entry = self.catalogue.owner(kind, name)
        bundled = self._bundled(kind, name)
        if entry and bundled:
            raise PluginError(two_owners(f"{kind}.{name}", [entry.distribution, bundled[0][0].distribution]))
        if len(bundled) > 1:
            raise PluginError(two_owners(f"{kind}.{name}", [one.distribution for one, _ in bundled]))
        if bundled:
            return bundled[0][1]
        if entry is None:
            raise unknown(kind, name, self.names(kind))
        loaded = self.load(entry)
        if loaded.failure:
            raise PluginError(f"{kind} {name!r} from {entry.distribution} {entry.version} is broken: {loaded.failure}")
        return next(spec for spec in loaded.specs if (spec.kind, spec.name) == (kind, name))

    def entry_of(self, kind: str, name: str) -> Entry:
        """Which entry point brings ``kind.name``; raises as ``get`` does."""
        self.get(kind, name)
        return self.catalogue.owner(kind, name) or self._bundled(kind, name)[0][0]

    def names(self, kind: str) -> list[str]:
        """Names of a kind, bundles included."""
        bundled = {
            spec.name for entry in self.catalogue.bundles for spec in self.load(entry).specs if spec.kind == kind
        }
        return sorted(bundled | set(self.catalogue.names(kind)))

    def load_all(self) -> list[Loaded]:
        """Every plugin, loaded; a name with two owners fails for each of them."""
        results = [self.load(entry, announce=False) for entry in self.catalogue.entries]
        owners: dict[str, list[str]] = {}
        for one in results:
            promised = [".".join(one.entry.promise)] if one.entry.promise else []
            brought = [f"{spec.kind}.{spec.name}" for spec in one.specs] if not promised else []
            for name in promised + brought:
                owners.setdefault(name, []).append(one.entry.distribution)
        twice = {name: found for name, found in owners.items() if len(found) > 1}
        return [self._with_collision(one, twice) for one in results]

    @staticmethod
    def _with_collision(one: Loaded, twice: dict[str, list[str]]) -> Loaded:
        names = [one.entry.name] if one.entry.promise else [f"{s.kind}.{s.name}" for s in one.specs]
        hit = next((name for name in names if name in twice), None)
        if hit is None or one.failure:
            return one
        return Loaded(one.entry, (), two_owners(hit, twice[hit]))

    def load_observers(self) -> None:
        """Load the bundles, so that observers among them hear of the run."""
        for entry in self.catalogue.bundles:
            self.load(entry)

    def load(self, entry: Entry, *, announce: bool = True) -> Loaded:
        """One plugin; a failure is remembered, and said once on stderr when ``announce``."""
        if id(entry) not in self._loaded:
            self._loaded[id(entry)] = self._load(entry)
        loaded = self._loaded[id(entry)]
        if loaded.failure and announce and id(entry) not in self._announced:
            self._announced.add(id(entry))
            print(
                f"sslbench: plugin {entry.name} of {entry.distribution} {entry.version} left out: {loaded.failure}",
                file=self.stderr or sys.stderr,
            )
        return loaded

    def _load(self, entry: Entry) -> Loaded:
        name = f"{entry.distribution}:{entry.name}={entry.point.value}"
        try:
            plugin = entry.point.load()
            # Two entry points may name one module; pluggy wants each object once.
            registered = None if self._manager.is_registered(plugin) else self._manager.register(plugin, name)
            try:
                self._manager.check_pending()
                found = tuple(self._specs_of(plugin))
                self._check_promise(entry, found)
            except BaseException:
                if registered:
                    self._manager.unregister(plugin)
                raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Loaded(entry, (), one_line(error))
        if entry.promise:
            found = tuple(spec for spec in found if (spec.kind, spec.name) == entry.promise)
        return Loaded(entry, found)

    def _specs_of(self, plugin: Any) -> list[Spec]:
        found: list[Spec] = []
        for kind in KINDS:
            hook = f"sslbench_{kind}s"
            for impl in getattr(self._manager.hook, hook).get_hookimpls():
                if impl.plugin is not plugin:
                    continue
                answer = impl.function()
                for spec in answer if isinstance(answer, (list, tuple)) else [answer]:
                    if not isinstance(spec, Spec) or spec.kind != kind:
                        wanted = f"{kind.capitalize()}Spec"
                        raise TypeError(f"{hook} must return a list of {wanted}, not {type(spec).__name__}")
                    found.append(spec)
        return found

    @staticmethod
    def _check_promise(entry: Entry, found: tuple[Spec, ...]) -> None:
        promise = entry.promise
        if promise and promise not in {(spec.kind, spec.name) for spec in found}:
            brought = ", ".join(f"{spec.kind}.{spec.name}" for spec in found) or "nothing"
            raise LookupError(f"the entry point promises {entry.name}, the module brings {brought}")

    def _bundled(self, kind: str, name: str) -> list[tuple[Entry, Spec]]:
        return [
            (entry, spec)
            for entry in self.catalogue.bundles
            for spec in self.load(entry).specs
            if (spec.kind, spec.name) == (kind, name)
        ]

    def notify(self, hook: str, **facts: Any) -> None:
        """Tell the observers; one that raises is warned about and changes nothing else."""
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                impl.function(**{key: facts[key] for key in impl.argnames})
            except Exception as error:
                warnings.warn(f"observer {impl.plugin_name}: {hook} raised {one_line(error)}", stacklevel=2)


def one_line(error: BaseException) -> str:
    """Type and first line of an error; all of pluggy's, whose first line does not say what is wrong."""
    text = str(error).strip()
    text = " ".join(text.split()) if isinstance(error, pluggy.PluginValidationError) else text.partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """The process's registry over everything installed, made once."""
    return Registry()
