"""What to run: the axes of the cross product and the training settings. A TOML file, or a built-in name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from sslbench.contracts.executor import TrainingSettings
from sslbench.contracts.names import name_mistake
from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.hooks.values import mended, typed
from sslbench.plan.builtin import COMMANDS, builtin_suites
from sslbench.plan.reference import Reference
from sslbench.plan.seeds import seeds_of

AXES = ("method", "augmentation", "masking", "dataset", "backbone", "evaluator")
LARGEST_FILE = 32 * 2**20  # bytes


Seeds = Annotated[tuple[int, ...], PlainValidator(seeds_of)]


class Size(BaseModel):
    """What a size puts in the place of the suite's own values: whole axes, the seeds, single training settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = ""
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    seeds: Seeds = (0,)
    training: TrainingSettings = TrainingSettings()


class SuiteFile(BaseModel):
    """The layout of a suite's TOML file, but for the axes, whose entries are plugins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    summary: str = ""
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    seeds: Seeds = (0,)
    training: TrainingSettings = TrainingSettings()
    observers: list[Any] = Field(default_factory=list)
    sizes: dict[str, Size] = Field(default_factory=dict)


@dataclass(frozen=True)
class RawSuite:
    """A suite as it was written, before anything is checked."""

    name: str  # of the file without its ending, or of the built-in suite
    source: str  # where it was written, for messages
    data: Mapping[str, Any] = field(default_factory=dict)  # as TOML has it
    file: Mapping[str, Any] | None = None  # of a size: the whole suite's
    builtin: bool = False  # whether it came with sslbench
    epochs_for_all: bool = False  # of a size that gives epochs and no methods: these replace those of single methods


@dataclass(frozen=True)
class Overrides:
    """What the command line puts in the place of the suite's own values."""

    axes: Mapping[str, Sequence[str | Reference]] = field(default_factory=dict)
    """plugins in the place of that axis, with the settings that it has of them"""
    seeds: Sequence[int | str] | None = None  # 0 or larger, or ranges such as ``0-4``; None: the suite's
    training: Mapping[str, Any] = field(default_factory=dict)
    """single settings of ``TrainingSettings``; ``Written`` where they are text"""


def read_suite(name: str, size: str | None = None, package: str = "sslbench.plan") -> RawSuite:
    """A built-in suite of a package by name, or a TOML file by path, in one of its sizes if ``size`` names one. Raises
    UserError if it is neither, does not parse or has no such size."""
    text, source = text_of(name, package)
    path = Path(name)
    title = path.stem if path.suffix == ".toml" else path.name
    raw = RawSuite(title, source, read_toml(text, source), builtin=name in builtin_suites(package))
    return raw if size is None else sized(raw, size)


def read_toml(text: str, source: str) -> dict[str, Any]:
    """The tables. Raises UserError for what is no TOML, or is beyond its limits."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{source}: lists or tables are nested too deeply") from None
    except ValueError as error:  # also for an integer of more digits than Python reads
        raise UserError(f"{source}: not valid TOML: {error}") from None


def text_of(name: str, *packages: str) -> tuple[str, str]:
    """A suite's TOML, of a built-in suite of ``packages`` or of a file, and where it was written."""
    builtin = {title: file for package in packages for title, file in builtin_suites(package).items()}
    path = Path(os.path.expanduser(name))
    if name in builtin:
        return builtin[name].read_text(encoding="utf-8"), name
    if os.path.isdir(path):
        raise UserError(
            f"{name} is a folder, not a suite; sslbench run -d {name} evaluates methods on its images, sslbench recipe"
            f" {name} says what to do with them"
        )
    if path.suffix == ".toml" or is_there(path):
        return text_of_file(path), str(path)
    commands = [command for package, command in COMMANDS.items() if name in builtin_suites(package)]
    hint = f", which is one of `sslbench {commands[0]}`" if commands else did_you_mean(name, list(builtin))
    known = ", ".join(sorted(builtin))
    raise UserError(f"unknown suite {quoted(name)}{hint} (built in: {known}; or the path of a .toml file)")


def is_there(path: Path) -> bool:
    """Whether a path is that of anything; False where it can be none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def text_of_file(path: Path) -> str:
    """Without the mark that some editors put in front. Raises UserError."""
    where = f"suite {quoted(str(path))} cannot be read"
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{where}: it is {'a folder' if path.is_dir() else 'no file'}; expected a .toml file")
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{where}: it is larger than the {LARGEST_FILE // 2**20} MiB that a suite may have")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{where}: it is no text in UTF-8; expected a .toml file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: {error.strerror if isinstance(error, OSError) else error}") from None


def sized(raw: RawSuite, size: str) -> RawSuite:
    """The suite with the values of its table ``[sizes.SIZE]`` in the place of its own. Raises UserError without one."""
    sizes = raw.data.get("sizes")
    known = dict(sizes) if isinstance(sizes, Mapping) else {}
    if size not in known:
        allowed = f"sizes: {', '.join(known)}" if known else "it has none: a table [sizes.NAME] holds what is different"
        raise UserError(f"{raw.source}: unknown size {quoted(size)}{did_you_mean(size, list(known))} ({allowed})")
    changes = known[size] if isinstance(known[size], Mapping) else {}
    data = {**raw.data, "name": f"{raw.data.get('name', raw.name)}-{size}"}
    for key, value in changes.items():
        own = data.get(key)
        both = isinstance(value, Mapping) and isinstance(own, Mapping)
        data[key] = {**(own or {}), **value} if both else value
    axes, training = (table if isinstance(table := changes.get(key), Mapping) else {} for key in ("axes", "training"))
    for_all = "epochs" in training and "method" not in axes
    return RawSuite(f"{raw.name}-{size}", raw.source, data, raw.data, raw.builtin, for_all)


def read_layout(raw: RawSuite) -> tuple[SuiteFile, list[str]]:
    """The suite without what is wrong, and one line per mistake of its file, its sizes included. Plugins are not looked
    up here."""
    layout, mistakes = mended(SuiteFile, without_entries(raw.data))
    if raw.file is not None:  # in a size, which is checked where it is written
        mistakes = mended(SuiteFile, without_entries(raw.file))[1]
    layout = layout or SuiteFile()
    mistakes += [f"size {line}" for line in map(name_mistake, layout.sizes) if line]
    mistakes += name_mistakes(raw.name, layout.name if "name" in layout.model_fields_set else None)
    lines = [f"{raw.source}: {line}" for line in mistakes]
    for size, changes in layout.sizes.items():
        lines += unknown_axes(raw, f"sizes.{size}.axes", changes.axes)
    return layout, lines


def name_mistakes(file: str, given: str | None) -> list[str]:
    """A line where the name that was given, else that of the file, is none."""
    line = name_mistake(file if given is None else given)
    hint = "" if given is not None else '; a key such as name = "photos" gives another'
    return [f"name = {line}{hint}"] if line else []


def without_entries(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with all axes empty: their entries are plugins, which say themselves what is wrong."""
    axes = data.get("axes")
    if not isinstance(axes, Mapping):
        return dict(data)
    return {**data, "axes": {axis: [] if isinstance(entries, list) else entries for axis, entries in axes.items()}}


def overridden(training: TrainingSettings, overrides: Overrides) -> tuple[TrainingSettings, list[str]]:
    """The training settings with those of the command line in their place, and one line per mistake of these."""
    try:
        given = typed(TrainingSettings, overrides.training)
    except ValueError as error:
        return training, [f"--set: {error}"]
    layout, mistakes = mended(SuiteFile, {"training": given})
    changes = (layout or SuiteFile()).training
    values = {**training.model_dump(exclude_unset=True), **changes.model_dump(exclude_unset=True)}
    return TrainingSettings.model_validate(values), [f"command line: {line}" for line in mistakes]


def unknown_axes(raw: RawSuite, where: str, names: Iterable[str], axes: Sequence[str] = AXES) -> list[str]:
    """One line per name that is no axis."""
    return [
        f"{raw.source}: unknown axis {quoted(f'{where}.{name}')} (allowed: {', '.join(axes)})"
        f"{did_you_mean(name, list(axes))}"
        for name in names
        if name not in axes
    ]
