"""Keywords of ``run`` to a request, with one line for each mistake."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.execute.request import Request
from sslbench.hooks.values import mended
from sslbench.plan.reference import Reference, read_reference
from sslbench.plan.seeds import seeds_of
from sslbench.plan.suite import Overrides
from sslbench.results.plain import Switches, plain, user_path
from sslbench.results.words import AXES, OPTIONS

ENTRY = 'a name, "NAME:key=value", a path, or {"name": NAME, "key": value}'


def request_of(
    suite: str | os.PathLike[str], axes: Mapping[str, Any], seeds: Any, options: Mapping[str, Any]
) -> Request:
    """``axes``: keyword -> one entry or several, None: the suite's; ``options``: fields of ``Request`` and settings of
    ``TrainingSettings``. Raises UserError."""
    mistakes: list[str] = []
    overrides = {}
    for keyword, entries in axes.items():
        if entries is not None:
            overrides[AXES[keyword]] = references_of(keyword, entries, mistakes)
    if not isinstance(suite, (str, os.PathLike)):
        mistakes.append(f"suite = {quoted(suite)}: expected the name of a suite, or the path of a .toml file")
    training = {key: plain(value) for key, value in options.items() if key in TrainingSettings.model_fields}
    allowed = [*axes, "seeds", "progress", *sorted(OPTIONS), *TrainingSettings.model_fields]
    unknown = [f"{quoted(key)}{did_you_mean(key, allowed)}" for key in options if key not in {*training, *OPTIONS}]
    if unknown:
        mistakes.append(f"unknown keyword {', '.join(unknown)} (allowed: {', '.join(allowed)})")
    given = given_seeds(seeds, mistakes)
    how = how_to_run({key: value for key, value in options.items() if key in OPTIONS}, mistakes)
    if mistakes:
        raise UserError(*mistakes)
    return Request(os.fspath(suite), Overrides(overrides, given, training), **how)


def how_to_run(given: Mapping[str, Any], mistakes: list[str]) -> dict[str, Any]:
    """Fields of a request; what is wrong is added to the mistakes. None is what stands where nothing is given."""
    how = {key: value for key, value in given.items() if value is not None}
    switches = {key: plain(value) for key, value in how.items() if key in Switches.model_fields}
    mistakes += mended(Switches, switches)[1]
    if "out" in how:
        try:
            how["out"] = user_path("out", how["out"])
        except UserError as error:
            mistakes += error.messages
    if "executor" in how:
        how["executor"] = ", ".join(map(str, references_of("executor", [how["executor"]], mistakes)))
    if "observers" in how:
        how["observers"] = tuple(references_of("observers", how["observers"], mistakes))
    return {**how, **switches}


def references_of(keyword: str, entries: Any, mistakes: list[str]) -> list[Reference]:
    """The plugins that one keyword names; what is wrong is added to the mistakes."""
    several = isinstance(entries, Iterable) and not isinstance(entries, (str, os.PathLike, Mapping))
    references = []
    for entry in entries if several else [entries]:
        try:
            references.append(reference_of(entry, keyword))
        except UserError as error:
            mistakes += error.messages
    if not references and not mistakes:
        mistakes.append(f"{keyword} = {quoted(entries)}: names nothing; expected {ENTRY}, or a list of these")
    return references


def reference_of(entry: Any, keyword: str) -> Reference:
    """One plugin. A path object is a path, whatever it is called. Raises UserError."""
    if isinstance(entry, os.PathLike):
        path = os.fspath(entry)
        return Reference(path if os.path.dirname(path) else os.path.join(os.curdir, path), {}, keyword)
    if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
        return read_reference(plain(entry), keyword)
    if isinstance(entry, str):
        return read_reference(entry, keyword)
    raise UserError(f"{keyword} = {quoted(entry)}: expected {ENTRY}, or a list of these")


def given_seeds(seeds: Any, mistakes: list[str]) -> Sequence[int] | None:
    """Those of ``[0, 1, 2]``, ``range(3)`` or ``"0-2"``; None: the suite's."""
    if seeds is None:
        return None
    if isinstance(seeds, int):
        mistakes.append(f"seeds = {seeds}: expected a list, such as [{seeds}] for this seed or range(3) for three")
        return None
    try:
        return seeds_of(seeds if isinstance(seeds, str) else [plain(seed) for seed in seeds])
    except (TypeError, ValueError) as error:
        mistakes.append(f"seeds = {quoted(seeds)}: {error}")
    return None
