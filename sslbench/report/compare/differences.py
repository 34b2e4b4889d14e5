"""What the two sides of a comparison do not have in common, beside their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sslbench.report.compare.sides import Side, machine_differences
from sslbench.report.rows import DIGITS, FINGERPRINT, Row, shown
from sslbench.store.record import Record

LISTED = 8
"""lines of one kind"""
CONTENT = {"dataset": "data", "method": "weights"}
"""kind of plugin that reads files -> what they are called"""
Facts = Mapping[str, set[str]]


def differences(first: Side, second: Side) -> list[str]:
    """Data, code, versions, settings and machine, a line each: ``data of digits: 4d0aa04d in A, 99ab12cd in B``."""
    lines = []
    for facts_of in (data_of, code_of, versions_of, settings_of):
        lines += shortened(list(unequal(facts_of(first.records), facts_of(second.records))))
    return [*lines, *machine_differences(first, second)]


def unequal(in_a: Facts, in_b: Facts) -> Iterator[str]:
    """A line for each fact that both sides know, with other values."""
    for fact in (fact for fact in in_a if fact in in_b):
        if in_a[fact] != in_b[fact]:
            before, after = (" and ".join(sorted(side[fact])) for side in (in_a, in_b))
            yield f"{fact}: {before} in A, {after} in B"


def shortened(lines: list[str]) -> list[str]:
    """The first ones, and how many more there are."""
    return lines[:LISTED] + ([f"{len(lines) - LISTED} more like these"] if len(lines) > LISTED else [])


def data_of(records: Iterable[Record]) -> Facts:
    """Fingerprints of data sets, and of the files that methods read."""
    known = [(f"data of {record.dataset}", record.data_fingerprint) for record in records]
    known += [(f"weights of {record.method}", record.weights_fingerprint) for record in records]
    return collected((fact, content[:DIGITS]) for fact, content in known if content)


def code_of(records: Iterable[Record]) -> Facts:
    """The identity of each plugin and of the harness."""
    codes = {id(record.inputs): record.inputs.get("code") for record in records if record.inputs}
    return collected((f"code of {label}", str(code)) for own in codes.values() for label, code in pairs_of(own))


def versions_of(records: Iterable[Record]) -> Facts:
    """Of sslbench, Python and every distribution that brought a plugin."""
    facts = [record.provenance or {} for record in records]
    named = [(name, fact[name]) for fact in facts for name in ("sslbench", "python") if fact.get(name)]
    brought = [pair for fact in facts for pair in pairs_of(fact.get("distributions")) if pair[0] != "sslbench"]
    return collected((f"version of {name}", str(version)) for name, version in [*named, *brought])


def settings_of(records: Iterable[Record]) -> Facts:
    """Training settings of each method."""
    known = {(record.method, id(record.params)): record.params.get("training", {}) for record in records}
    return collected(
        (f"{name} of {method}", shown(value)) for (method, _), own in known.items() for name, value in own.items()
    )


def pairs_of(value: Any) -> Iterable[tuple[str, Any]]:
    """Of an object; none where it is none."""
    return value.items() if isinstance(value, Mapping) else ()


def collected(pairs: Iterable[tuple[str, str]]) -> Facts:
    """Fact -> all its values."""
    facts: dict[str, set[str]] = {}
    for fact, value in pairs:
        facts.setdefault(fact, set()).add(value)
    return facts


def other_content(first: Row, second: Row) -> tuple[str, ...]:
    """``data`` and ``weights``, where both rows know theirs and they are not the same."""
    contents = {kind: [row.params[kind].get(FINGERPRINT) for row in (first, second)] for kind in CONTENT}
    return tuple(CONTENT[kind] for kind, (a, b) in contents.items() if a and b and a != b)
