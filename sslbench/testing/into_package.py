"""``sslbench new --into``: one more plugin for a package that is there, and its entry point in pyproject.toml."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslbench.errors import UserError, quoted
from sslbench.testing.new_package import DESCRIPTIONS, Written, as_word, plugin_files, run_line, test_path, words_of
from sslbench.testing.plugin_names import PluginNames, checked_kind_and_name

FILE = "pyproject.toml"
TABLE = "[project.entry-points.sslbench]"
HEADER = re.compile(
    r"""^[ \t]*\[[ \t]*project[ \t]*\.[ \t]*["']?entry-points["']?[ \t]*\.[ \t]*["']?sslbench["']?[ \t]*\]"""
)
NO_PACKAGES = frozenset({"tests", "test", "docs", "doc", "examples", "benchmarks", "scripts"})
"""folders that are beside packages"""


@dataclass(frozen=True)
class Project:
    """A folder with a pyproject.toml."""

    folder: Path
    text: str
    data: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """Its pyproject.toml."""
        return self.folder / FILE

    @property
    def points(self) -> dict[str, str]:
        """``kind.name`` -> module, of its plugins."""
        return dict(self.data["project"].get("entry-points", {}).get("sslbench", {}))


def add_to_package(kind: str, name: str, given: Path) -> Written:
    """Add a plugin to the package in the folder ``given``. Raises UserError, and changes nothing, if it cannot."""
    kind, name = checked_kind_and_name(kind, name)
    project = project_of(given)
    home = import_package(project, given)
    root = next(folder for folder in home.parents if not (folder / "__init__.py").exists())
    names = PluginNames(kind, name, ".".join(home.relative_to(root).parts))
    if names.label in project.points:
        raise UserError(f"{project.file}: {names.label!r} is there already; nothing is overwritten")
    text = with_entry_point(project, names)
    module = (home / f"{names.module}.py").relative_to(project.folder).as_posix()
    suite = "" if kind == "simulator" else f"suite-{name}.toml"
    files = dict(plugin_files(names, module, test_path(names), suite))
    write_all(project, files, text)
    told = {
        module: f"the {words_of(kind)} itself",
        test_path(names): "its tests",
        **({suite: DESCRIPTIONS["suite.toml"]} if suite else {}),
        FILE: "has its entry point now, which is read when the package is installed",
    }
    run = run_line(names, str(project.folder / suite))
    return Written(project.folder, told, commands(project, names), run, requirement(project))


def commands(project: Project, names: PluginNames) -> tuple[str, ...]:
    """To install the package again, check the plugin and test it."""
    extra = "[test]" if "test" in project.data["project"].get("optional-dependencies", {}) else ""
    folder = f"{project.folder}{extra}"
    return (
        f"pip install -e {as_word(folder)}",
        f"sslbench check {names.label}",
        f"pytest {shlex.quote(str(project.folder / test_path(names)))}",
    )


def project_of(given: Path) -> Project:
    """The project that a folder is or is in. Raises UserError."""
    where = f"--into {quoted(str(given))}"
    if not given.is_dir():
        raise UserError(f"{where}: is no folder; give that of a package, with its {FILE}")
    folders = [given, *(Path(given.absolute()).parents if (given / "__init__.py").exists() else ())]
    folder = next((folder for folder in folders if (folder / FILE).is_file()), None)
    if folder is None:
        raise UserError(f"{where}: it has no {FILE}; give the folder of a package, or leave --into out for a new one")
    file = folder / FILE
    try:
        text = file.read_bytes().decode()
        data = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    table = data.get("project")
    if not isinstance(table, dict):
        raise UserError(f"{file}: it has no table [project], in which entry points stand")
    if "entry-points" in table.get("dynamic", []):
        raise UserError(f"{file}: its entry points are dynamic, made by something else; add the plugin there")
    return Project(folder, text, data)


def import_package(project: Project, given: Path) -> Path:
    """The folder that modules are imported from: ``given`` where it is one, else that of the project's plugins, else
    the project's only one. Raises UserError."""
    if (given / "__init__.py").exists():
        return project.folder / given.absolute().relative_to(project.folder.absolute())
    found = sorted({folder for module in project.points.values() if (folder := folder_of(project, module))})
    found = found or [
        path.parent
        for root in (project.folder / "src", project.folder)
        for path in sorted(root.glob("*/__init__.py"))
        if path.parent.name not in NO_PACKAGES
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"{project.folder}: it has no package (a folder with __init__.py) to add a module to")
    shown = ", ".join(str(path.relative_to(project.folder)) for path in found[:5])
    raise UserError(f"{project.folder}: it has several packages ({shown}); give one of these folders as --into")


def folder_of(project: Project, module: str) -> Path | None:
    """Where the modules beside a plugin's are: ``a.b`` -> the folder ``a``, or ``a`` itself where that is a package."""
    parts = module.partition(":")[0].split(".")
    for root in (project.folder / "src", project.folder):
        for folder in (root.joinpath(*parts[:-1]), root.joinpath(*parts)):
            if folder != root and (folder / "__init__.py").exists():
                return folder
    return None


def with_entry_point(project: Project, names: PluginNames) -> str:
    """The text of pyproject.toml with one entry more, all else as it was. Raises UserError where that cannot be."""
    entry = f'"{names.label}" = "{names.package}.{names.module}"'
    end = "\r\n" if "\r\n" in project.text else "\n"
    lines = project.text.splitlines()
    header = next((number for number, line in enumerate(lines) if HEADER.match(line)), None)
    if header is None:
        lines += [*([""] if lines and lines[-1].strip() else []), TABLE, entry]
    else:
        lines.insert(end_of_table(lines, header), entry)
    text = end.join(lines) + end
    expected = {**project.points, names.label: f"{names.package}.{names.module}"}
    table = dict(project.data["project"])
    table["entry-points"] = {**table.get("entry-points", {}), "sslbench": expected}
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(text) == {**project.data, "project": table}:
            return text
    raise UserError(f"{project.file}: cannot be changed safely; put this into its table {TABLE}, then again: {entry}")


def end_of_table(lines: list[str], header: int) -> int:
    """The number of the line behind the last entry of the table that begins at ``header``."""
    last = header
    for number in range(header + 1, len(lines)):
        text = lines[number].strip()
        if text.startswith("["):
            break
        if text and not text.startswith("#"):
            last = number
    return last + 1


def requirement(project: Project) -> tuple[str, ...]:
    """A note where the package does not require sslbench."""
    required = map(str, project.data["project"].get("dependencies", []))
    if any(re.match(r"sslbench(?![\w.-])", text.strip()) for text in required):
        return ()
    return (f"{project.file} does not require sslbench: add it to its dependencies",)


def write_all(project: Project, files: Mapping[str, str], text: str) -> None:
    """The new files, then pyproject.toml at once; or nothing. Raises UserError, which names what is there already."""
    there = [path for path in files if os.path.lexists(project.folder / path)]
    if there:
        raise UserError(f"{project.folder}: {', '.join(there)} is there already; nothing is overwritten")
    made: list[Path] = []
    target = project.file.resolve()
    scratch = target.with_name(f".{FILE}.new")
    try:
        for name, content in files.items():
            write_new(project.folder / name, content, made)
        with scratch.open("x", encoding="utf-8", newline="") as file:
            made.append(scratch)
            file.write(text)
        shutil.copymode(target, scratch)
        scratch.replace(target)
    except BaseException as error:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(f"{project.folder}: nothing was added: {where}{error.strerror or error}") from None
        raise


def write_new(path: Path, content: str, made: list[Path]) -> None:
    """Write a file that is not there yet; it and the folders that had to be made for it are added to ``made``."""
    for folder in reversed([folder for folder in path.parents if not folder.exists()]):
        folder.mkdir()
        made.append(folder)
    with path.open("x", encoding="utf-8", newline="\n") as file:
        made.append(path)
        file.write(content)
