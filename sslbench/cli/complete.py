"""What a shell offers after TAB, from metadata and small files: no plugin is imported."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from sslbench.errors import SslbenchError

Items = list["CompletionItem[str]"]
"""in quotes: the classes of older versions of click take no type"""
Completer = Callable[[click.Context, click.Parameter, str], Items]
RESULTS = "sslbench-results"
"""where results lie unless the user says otherwise"""
TRAINING = ("run", "plan")
"""commands that train methods"""
STORE = "results.sqlite"
"""is in every folder of results"""


def part(value: str, help: str = "") -> CompletionItem[str]:
    """A word that goes on, so that no blank is put after it."""
    return CompletionItem(value, type="part", help=help or None)


def files(incomplete: str, type: str = "file") -> Items:
    """Whatever the shell finds on the disk; ``type``: ``file`` or ``dir``."""
    return [CompletionItem(incomplete, type=type)]


def one_of(given: Iterable[str]) -> Completer:
    """Those of some words that begin as what was typed."""
    return lambda ctx, param, incomplete: [CompletionItem(word) for word in given if word.startswith(incomplete)]


def plugins(kind: str, paths: bool = False) -> Completer:
    """Names of plugins, after ``:`` their parameters and presets; with ``paths`` also files and folders."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        name, colon, given = incomplete.partition(":")
        if colon:
            return parameters(kind, name, given, epochs=ctx.info_name in TRAINING)
        return [*names(kind, incomplete), *(files(incomplete) if paths else [])]

    return complete


def names(kind: str, incomplete: str) -> Items:
    """Names of plugins, each with the summary of its module."""
    from sslbench.hooks.catalogue import Catalogue

    promised = [(entry.promise[1], entry) for entry in Catalogue.installed().entries if entry.promise]
    kinds = [entry.promise[0] for _, entry in promised if entry.promise]
    return [
        CompletionItem(name, help=entry.summary)
        for (name, entry), own in zip(promised, kinds, strict=True)
        if own == kind and name.startswith(incomplete)
    ]


def parameters(kind: str, name: str, given: str, epochs: bool = False) -> Items:
    """Of ``NAME:GIVEN`` the ways in which the last parameter may go on; a file where its value may be a path.
    ``epochs``: whether a method that is trained takes them beside its parameters."""
    from sslbench.hooks.remembered import remembered

    known: Mapping[str, Any] = remembered().get(f"{kind}.{name}", {})
    before, comma, last = given.rpartition(",")
    start = f"{name}:{before}{comma}"
    key, equals, value = last.partition("=")
    own = known.get("parameters", {})
    if not equals:
        taken = {piece.partition("=")[0] for piece in before.split(",")}
        helps = {other: facts["help"] for other, facts in own.items()}
        helps |= {"epochs": "of this method alone"} if epochs and known.get("trains") else {}
        helps |= {"preset": "settings of a paper"} if known.get("presets") else {}
        return [
            part(f"{start}{other}=", helps[other]) for other in helps if other.startswith(key) and other not in taken
        ]
    allowed = known.get("presets", []) if key == "preset" else own.get(key, {}).get("words", [])
    found = [CompletionItem(f"{start}{key}={word}") for word in allowed if str(word).startswith(value)]
    return found or files(f"{start}{last}")


def suite_names(package: str = "sslbench.plan") -> Completer:
    """Built-in suites, and files."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        from sslbench.plan.builtin import COMMANDS, builtin_suites

        packages = [package] if package else list(COMMANDS)
        found = [name for own in packages for name in builtin_suites(own) if name.startswith(incomplete)]
        return [*map(CompletionItem, found), *files(incomplete)]

    return complete


def sizes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Sizes of the suite that the line names."""
    from sslbench.plan.builtin import builtin_suites

    suite = str(ctx.params.get("suite") or "")
    file = builtin_suites().get(suite, Path(os.path.expanduser(suite)))
    try:
        known = tomllib.loads(file.read_text(encoding="utf-8")).get("sizes", {})
    except (OSError, ValueError):
        return []
    return [
        CompletionItem(size, help=changes.get("summary"))
        for size, changes in known.items()
        if size.startswith(incomplete)
    ]


def training_settings(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Keys of ``[training]``, and the values of those that have few."""
    from sslbench.contracts.executor import TrainingSettings

    key, equals, value = incomplete.partition("=")
    if not equals:
        return [part(f"{name}=") for name in TrainingSettings.model_fields if name.startswith(key)]
    known = TrainingSettings.model_json_schema().get("properties", {}).get(key, {})
    allowed = known.get("enum") or [word for item in known.get("anyOf", []) for word in item.get("enum", [])]
    return [CompletionItem(f"{key}={word}") for word in allowed if word.startswith(value)]


def settings_of_simulator(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Parameters of the simulator that the line names."""
    name = ctx.params.get("name")
    if not name:
        return []
    found = parameters("simulator", name, incomplete)
    return [
        CompletionItem(i.value.removeprefix(f"{name}:"), type=i.type, help=i.help) for i in found if i.type != "file"
    ]


def record_fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Fields of records."""
    from sslbench.report.rows import FIELDS

    return [part(f"{name}=") for name in FIELDS if name.startswith(incomplete)]


def plugin_of_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Names of the kind that the line names."""
    from sslbench.hooks.catalogue import check_kind

    try:
        return names(check_kind(ctx.params.get("kind") or ""), incomplete)
    except SslbenchError:
        return []


def kind_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Of plugins."""
    from sslbench.hooks.catalogue import KINDS

    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def result_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Folders of results here and in ``sslbench-results``; where none begins so, any folder or file."""
    found = [folder for parent in (RESULTS, ".") for folder in folders_of(parent) if folder.startswith(incomplete)]
    return [CompletionItem(folder) for folder in found] or files(incomplete)


def folders_of(parent: str) -> list[str]:
    """The folders of results directly in a folder."""
    try:
        inner = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir())
    except OSError:
        return []
    paths = [os.path.normpath(os.path.join(parent, name)) for name in inner]
    return [path for path in paths if os.path.isfile(os.path.join(path, STORE))]


def checkable(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """``kind.name`` of every plugin, distributions, and files."""
    from sslbench.hooks.catalogue import Catalogue

    entries = Catalogue.installed().entries
    words = dict.fromkeys([*(e.name for e in entries if e.promise), *(e.distribution for e in entries)])
    return [*(CompletionItem(word) for word in words if word.startswith(incomplete)), *files(incomplete)]
