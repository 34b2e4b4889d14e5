"""What to run: the axes of the cross product and the training settings. A TOML file, or a built-in name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError, did_you_mean
from sslbench.hooks.params import validation_lines
from sslbench.plan.builtin import COMMANDS, builtin_suites

AXES = ("method", "augmentation", "masking", "dataset", "backbone", "evaluator")


class Size(BaseModel):
    """What a size puts in the place of the suite's own values: whole axes, the seeds, single training settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = ""
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    seeds: list[int] | None = Field(None, min_length=1)
    training: dict[str, Any] = Field(default_factory=dict)


class SuiteFile(BaseModel):
    """The layout of a suite's TOML file, but for the axes, whose entries are plugins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    summary: str = ""
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    seeds: list[int] = Field([0], min_length=1)
    training: TrainingSettings = TrainingSettings()
    sizes: dict[str, Size] = Field(default_factory=dict)


@dataclass(frozen=True)
class RawSuite:
    """A suite as it was written, before anything is checked."""

    name: str  # of the file without its ending, or of the built-in suite
    source: str  # where it was written, for messages
    data: Mapping[str, Any] = field(default_factory=dict)  # as TOML has it


@dataclass(frozen=True)
class Overrides:
    """What the command line puts in the place of the suite's own values."""

    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # axis -> references; replaces that axis
    seeds: Sequence[int] | None = None  # 0 or larger; None: the suite's
    training: Mapping[str, Any] = field(default_factory=dict)  # single settings of ``TrainingSettings``


def overridden(raw: RawSuite, overrides: Overrides) -> RawSuite:
    """The suite with the seeds and training settings of the command line."""
    data = dict(raw.data)
    if overrides.training:
        data["training"] = {**dict(data.get("training") or {}), **overrides.training}
    if overrides.seeds is not None:
        data["seeds"] = list(overrides.seeds)
    return RawSuite(raw.name, raw.source, data)


def read_suite(name: str, size: str | None = None, package: str = "sslbench.plan") -> RawSuite:
    """A built-in suite of a package by name, or a TOML file by path, in one of its sizes if ``size`` names one. Raises
    UserError if it is neither, does not parse or has no such size."""
    text, source = text_of(name, package)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{source}: not valid TOML: {error}") from None
    path = Path(name)
    raw = RawSuite(path.stem if path.suffix == ".toml" else name, source, data)
    return raw if size is None else sized(raw, size)


def text_of(name: str, *packages: str) -> tuple[str, str]:
    """A suite's TOML, of a built-in suite of ``packages`` or of a file, and where it was written."""
    builtin = {title: file for package in packages for title, file in builtin_suites(package).items()}
    path = Path(name).expanduser()
    if name in builtin:
        return builtin[name].read_text(encoding="utf-8"), name
    if path.is_dir():
        raise UserError(
            f"{name} is a folder, not a suite; sslbench run -d {name} evaluates methods on its images, sslbench recipe"
            f" {name} says what to do with them"
        )
    if path.suffix == ".toml" or path.exists():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"suite {name!r} cannot be read: {error}") from None
    commands = [command for package, command in COMMANDS.items() if name in builtin_suites(package)]
    hint = f", which is one of `sslbench {commands[0]}`" if commands else did_you_mean(name, list(builtin))
    known = ", ".join(sorted(builtin))
    raise UserError(f"unknown suite {name!r}{hint} (built in: {known}; or the path of a .toml file)")


def sized(raw: RawSuite, size: str) -> RawSuite:
    """The suite with the values of its table ``[sizes.SIZE]`` in the place of its own. Raises UserError without one."""
    sizes = raw.data.get("sizes")
    known = dict(sizes) if isinstance(sizes, Mapping) else {}
    if size not in known:
        allowed = f"sizes: {', '.join(known)}" if known else "it has none: a table [sizes.NAME] holds what is different"
        raise UserError(f"{raw.source}: unknown size {size!r}{did_you_mean(size, list(known))} ({allowed})")
    changes = known[size] if isinstance(known[size], Mapping) else {}
    data = {**raw.data, "name": f"{raw.data.get('name') or raw.name}-{size}"}
    for key, value in changes.items():
        own = data.get(key)
        both = isinstance(value, Mapping) and isinstance(own, Mapping)
        data[key] = {**(own or {}), **value} if both else value
    return RawSuite(f"{raw.name}-{size}", raw.source, data)


def check_layout(raw: RawSuite) -> tuple[SuiteFile | None, list[str]]:
    """The suite, or None, and one line per mistake, those of its sizes included. Plugins are not looked up here."""
    layout, mistakes = validated(raw)
    for size, changes in (layout.sizes if layout else {}).items():
        wrong = validated(sized(raw, size))[1]
        wrong += unknown_axes(raw, f"sizes.{size}.axes", changes.axes)
        mistakes += [f"{line} (in size {size!r})" if "sizes." not in line else line for line in wrong]
    return (None if mistakes else layout), mistakes


def unknown_axes(raw: RawSuite, where: str, names: Iterable[str]) -> list[str]:
    """One line per name that is no axis."""
    allowed = ", ".join(AXES)
    return [f"{raw.source}: unknown axis '{where}.{name}' (allowed: {allowed})" for name in names if name not in AXES]


def validated(raw: RawSuite) -> tuple[SuiteFile | None, list[str]]:
    """The suite, or None, and one line per mistake; its sizes are not checked."""
    try:
        return SuiteFile.model_validate(dict(raw.data)), []
    except ValidationError as error:
        return None, [f"{raw.source}: {line}" for line in layout_lines(error)]


def layout_lines(error: ValidationError) -> list[str]:
    """One line per mistake; an unknown key gets the allowed ones."""
    lines = []
    for item, line in zip(error.errors(include_url=False), validation_lines(error), strict=True):
        if item["type"] != "extra_forbidden":
            lines.append(line)
            continue
        *parents, key = (str(part) for part in item["loc"])
        model = TrainingSettings if parents == ["training"] else Size if parents[:1] == ["sizes"] else SuiteFile
        allowed = list(model.model_fields)
        where = "".join(f"{part}." for part in parents) + key
        lines.append(f"unknown key {where!r}{did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})")
    return lines
