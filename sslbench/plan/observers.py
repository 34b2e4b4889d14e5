"""The observers of a run: those of the command line, else the suite's. They are no part of any key."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.contracts.observer import ObserverSpec
from sslbench.hooks.registry import Registry
from sslbench.plan.axes import read_references
from sslbench.plan.cell import Choice
from sslbench.plan.choose import look_up
from sslbench.plan.reference import Reference
from sslbench.plan.selected import selected
from sslbench.plan.suite import RawSuite

Observers = tuple[Choice[ObserverSpec], ...]


def read_observers(raw: RawSuite, given: Sequence[str | Reference], registry: Registry) -> tuple[Observers, list[str]]:
    """The observers with their parameters, and one line for each mistake. ``given``: those of the command line, in the
    place of the suite's."""
    written = raw.data.get("observers", ())
    suite = written if isinstance(written, (list, tuple)) else ()  # anything else read_layout reports
    items = ((item, f"{raw.source}: observers[{index}]") for index, item in enumerate(suite))
    references, unreadable = read_references("observer", items, registry)
    if given:
        own, unreadable = read_references("observer", ((item, "--observer") for item in given), registry)
        references = selected("observer", own, references, registry)
    found, mistakes = look_up("observer", references, registry, "default")
    choices = tuple(filter(None, found))
    missing = [choice.spec.missing for choice in choices if choice.spec.missing]
    return choices, [*unreadable, *mistakes, *dict.fromkeys(missing)]
