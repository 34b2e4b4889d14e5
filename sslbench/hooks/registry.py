"""Loads plugins, each on its own, so that a broken one hurts nobody who does not need it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pluggy

from sslbench.contracts.names import name_mistake
from sslbench.contracts.plugin import Spec
from sslbench.errors import PluginError, printable, text_of
from sslbench.hooks import specs
from sslbench.hooks.catalogue import KINDS, Catalogue, Entry, collisions, unknown
from sslbench.hooks.import_state import put_back


@dataclass(frozen=True)
class Loaded:
    """One plugin after the attempt to load it."""

    entry: Entry
    specs: tuple[Spec, ...] = ()  # what it brings; of an entry point called ``kind.name`` that one spec alone
    failure: str = ""  # why it is broken, one line; empty for a good one
    changed: tuple[str, ...] = ()  # what it changed for the whole process when it was imported, and was put back

    @property
    def names(self) -> tuple[str, ...]:
        """``kind.name`` of everything that it owns, be it promised by its entry point or brought by its bundle."""
        if self.entry.promise:
            return (self.entry.name,)
        return tuple(f"{spec.kind}.{spec.name}" for spec in self.specs)

    @property
    def put_back(self) -> str:
        """What it changed, in words; empty where that is nothing."""
        return f"changed {', '.join(self.changed)} at import, put back" if self.changed else ""

    def spec(self, kind: str, name: str) -> Spec | None:
        """The spec of this kind and name, or None."""
        return next((spec for spec in self.specs if (spec.kind, spec.name) == (kind, name)), None)


@dataclass
class Registry:
    """Specs by kind and name. Modules are imported when they are first needed."""

    catalogue: Catalogue = field(default_factory=Catalogue.installed)

    def __post_init__(self) -> None:
        self._manager = pluggy.PluginManager("sslbench")
        self._manager.add_hookspecs(specs)
        self._loaded: dict[Entry, Loaded] = {}
        self._reported: set[Entry] = set()

    def get(self, kind: str, name: str) -> Spec:
        """Raises UserError if nobody brings it, PluginError if its plugin is broken or two entry points bring it."""
        entry = self.entry_of(kind, name)
        loaded = self.load(entry)
        spec = loaded.spec(kind, name)
        if spec is None:
            raise PluginError(f"{kind} {name!r} from {entry.distribution} {entry.version} is broken: {loaded.failure}")
        return spec

    def entry_of(self, kind: str, name: str) -> Entry:
        """The entry point that brings ``kind.name``. Raises UserError if there is none, PluginError for two."""
        bundles = [entry for entry in self.catalogue.bundles if self.load(entry).spec(kind, name)]
        owners = [*self.catalogue.owners(kind, name), *bundles]
        if not owners:
            raise unknown(kind, name, self.names(kind))
        for message in collisions((f"{kind}.{name}", entry) for entry in owners).values():
            raise PluginError(message)
        return owners[0]

    def names(self, kind: str) -> list[str]:
        """Names of a kind, bundles included."""
        bundled = {
            spec.name for entry in self.catalogue.bundles for spec in self.load(entry).specs if spec.kind == kind
        }
        return sorted(bundled | set(self.catalogue.names(kind)))

    def load_all(self) -> list[Loaded]:
        """Every plugin, loaded; a name with two owners fails for each of them."""
        plugins = [self.load(entry, report=False) for entry in self.catalogue.entries]
        twice = collisions((name, plugin.entry) for plugin in plugins for name in plugin.names)
        for index, plugin in enumerate(plugins):
            message = next((twice[name] for name in plugin.names if name in twice), "")
            if message and not plugin.failure:
                plugins[index] = Loaded(plugin.entry, (), message, plugin.changed)
        return plugins

    def say_nothing(self) -> None:
        """Print nothing of plugins from now on: the process that this one works for has done so."""
        self._reported.update(self.catalogue.entries)

    def load(self, entry: Entry, *, report: bool = True) -> Loaded:
        """One plugin; a failure is remembered, and printed once on stderr with ``report``. So is what it changed."""
        if entry not in self._loaded:
            self._loaded[entry] = self._load(entry)
        loaded = self._loaded[entry]
        if report and entry not in self._reported:
            self._reported.add(entry)
            news = [f"left out: {loaded.failure}"] if loaded.failure else []
            for words in filter(None, [*news, loaded.put_back]):
                text = f"sslbench: plugin {entry.name} of {entry.distribution} {entry.version} {words}"
                print(printable(text), file=sys.stderr)
        return loaded

    def _load(self, entry: Entry) -> Loaded:
        changed: list[str] = []
        try:
            with put_back() as changed:
                brought = self._import(entry)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Loaded(entry, (), one_line(error), tuple(changed))
        kept = [spec for spec in brought if entry.promise in (None, (spec.kind, spec.name))]
        return Loaded(entry, tuple(kept), changed=tuple(changed))

    def _import(self, entry: Entry) -> list[Spec]:
        """Import the module, register its hooks, and return what it brings. It is not registered where it fails."""
        plugin = entry.point.load()
        # Two entry points may name one module; pluggy wants each object once.
        new = not self._manager.is_registered(plugin)
        if new:
            self._manager.register(plugin, f"{entry.distribution}:{entry.name}={entry.point.value}")
        try:
            self._manager.check_pending()
            brought = list(self._specs_of(plugin))
            if entry.promise and entry.promise not in {(spec.kind, spec.name) for spec in brought}:
                names = ", ".join(f"{spec.kind}.{spec.name}" for spec in brought) or "nothing"
                raise LookupError(f"the entry point promises {entry.name}, the module brings {names}")
        except BaseException:
            if new:
                self._manager.unregister(plugin)
            raise
        return brought

    def _specs_of(self, plugin: object) -> Iterator[Spec]:
        """What the hooks of one plugin return. Raises TypeError for anything that is not a spec of its kind."""
        for kind in KINDS:
            hook = f"sslbench_{kind}s"
            own = [impl for impl in getattr(self._manager.hook, hook).get_hookimpls() if impl.plugin is plugin]
            for returned in [impl.function() for impl in own]:
                for spec in returned if isinstance(returned, (list, tuple)) else [returned]:
                    if not isinstance(spec, Spec) or spec.kind != kind:
                        allowed = f"{kind.capitalize()}Spec"
                        raise TypeError(f"{hook} must return a list of {allowed}, not {type(spec).__name__}")
                    if mistake := name_mistake(str(spec.name)):
                        raise ValueError(f"{hook}: name = {mistake}")
                    yield spec


def one_line(error: BaseException) -> str:
    """Type and first line of an error; all of pluggy's, whose first line does not contain the mistake."""
    text = text_of(error).strip()
    text = " ".join(text.split()) if isinstance(error, pluggy.PluginValidationError) else text.partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """The process's registry over everything installed, made once."""
    return Registry()
