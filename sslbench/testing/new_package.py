"""``sslbench new``: a package of one plugin, which passes its checks as it is written."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sslbench.errors import UserError, quoted
from sslbench.testing.plugin_names import PluginNames, checked_kind_and_name, installed_version, underscored

PYTHON = "3.11"
"""the oldest one that sslbench takes"""
WORDS = {
    "dataset": "data set",
    "executor": "executor, where work runs,",
    "observer": "observer of runs",
}
"""kind -> in prose, where it is called otherwise"""


@dataclass(frozen=True)
class Written:
    """What was written, and what to do with it."""

    folder: Path  # of the project, as a person would type it
    files: Mapping[str, str]  # path below the folder -> what it is
    commands: tuple[str, ...]  # to install it, check it, test it
    run: str  # the command that puts it to use
    notes: tuple[str, ...] = ()


def new_package(kind: str, name: str) -> Written:
    """Make the folder NAME here. Raises UserError, with nothing half made, where it cannot be."""
    kind, name = checked_kind_and_name(kind, name)
    names = PluginNames(kind, name, f"sslbench_{underscored(name)}")
    distribution = f"sslbench-{name}"
    check_free(name, distribution)
    suite = "suite.toml" if kind != "simulator" else ""
    files = project_files(names, distribution, suite)
    make_folder(Path(name), files)
    told = {path: DESCRIPTIONS.get(Path(path).name, "") for path in files}
    told |= {module_path(names): f"the {words_of(kind)} itself", test_path(names): "its tests"}
    told = {path: what for path, what in told.items() if what}
    commands = (f"pip install -e {as_word(f'{name}[test]')}", f"sslbench check {names.label}", f"pytest {name}")
    return Written(Path(name), told, commands, run_line(names, f"{name}/{suite}"))


def check_free(folder: str, distribution: str) -> None:
    """Raises UserError where the folder is there or the distribution is installed."""
    remedy = "choose another name, or add the plugin to a package of yours with --into FOLDER"
    if os.path.lexists(folder):
        raise UserError(f"{folder} is there already, and nothing is overwritten: {remedy}")
    if found := installed_version(distribution):
        raise UserError(f"the package would be {distribution!r}, of which {found} is installed already: {remedy}")


def as_word(text: str) -> str:
    """A word of a shell, in double quotes where they are enough."""
    return f'"{text}"' if re.fullmatch(r"[\w./-]+\[test]", text) else shlex.quote(text)


DESCRIPTIONS = {
    "suite.toml": "what to run to see it beside the built-in ones",
    "pyproject.toml": "the package, and the entry point by which sslbench finds it",
    "README.md": "these commands; which licence is yours to choose",
    "sslbench.yml": "the same checks on GitHub, at every push",
}


def module_path(names: PluginNames) -> str:
    """In a new package."""
    return f"src/{names.package}/{names.module}.py"


def test_path(names: PluginNames) -> str:
    """Below the project's folder."""
    return f"tests/test_{names.module}.py"


def words_of(kind: str) -> str:
    """The kind in prose."""
    return WORDS.get(kind, kind)


def run_line(names: PluginNames, suite: str) -> str:
    """The command that puts the plugin to use; ``suite``: the path of its suite."""
    if names.kind == "simulator":
        return f"sslbench simulate {names.name}"
    executor = f" --executor {names.name}" if names.kind == "executor" else ""
    return f"sslbench run {shlex.quote(suite)}{executor}"


def project_files(names: PluginNames, distribution: str, suite: str) -> dict[str, str]:
    """Path below the folder -> text, of a package with one plugin."""
    about = {
        "distribution": distribution,
        "python": PYTHON,
        "version": (installed_version("sslbench") or "0").partition("+")[0],
        "words": words_of(names.kind),
        "article": "An" if names.kind[0] in "aeiou" else "A",
        "suite": suite,
        "what_run_does": what_run_does(names.kind),
        "run_here": run_line(names, suite),
    }
    own = dict(plugin_files(names, module_path(names), test_path(names), suite))
    package = f"src/{names.package}"
    return own | {
        f"{package}/__init__.py": f'"""{about["article"]} {about["words"]} for sslbench."""\n',
        f"{package}/py.typed": "",
        "pyproject.toml": text_of("project/pyproject.toml", names, **about),
        "README.md": text_of("project/README.md", names, **about),
        ".github/workflows/sslbench.yml": text_of("project/sslbench.yml", names, **about),
    }


def what_run_does(kind: str) -> str:
    """What becomes of the command that puts a plugin of this kind to use."""
    rank = "rank it beside a built-in one"
    uses = {"simulator": "run it", "executor": "have it run a small suite", "observer": "have it follow a small run"}
    return uses.get(kind, rank)


def plugin_files(names: PluginNames, module: str, test: str, suite: str) -> Iterator[tuple[str, str]]:
    """Path and text of what belongs to one plugin: its module, its test, its suite (none where the path is empty)."""
    stem = stem_of(names)
    yield module, text_of(f"plugin/{names.kind}.py", names, stem=stem)
    yield test, text_of(f"test/{names.kind}.py", names, stem=stem)
    if suite:
        summaries = {"executor": "A small suite to be run by {}", "observer": "A small suite that {} follows"}
        summary = summaries.get(names.kind, "{} beside a built-in one, on handwritten digits").format(names.label)
        yield suite, text_of("suite.toml", names, suite=suite, summary=summary)


def stem_of(names: PluginNames) -> str:
    """What the classes of the plugin begin with: ``MyTensor`` where ``Tensor`` would be something that it imports."""
    text = text_of(f"plugin/{names.kind}.py", names, stem=names.stem)
    return f"My{names.stem}" if max(Counter(bound(text)).values()) > 1 else names.stem


def bound(text: str) -> Iterator[str]:
    """The names that a module binds at its top level."""
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def text_of(template: str, names: PluginNames, **more: Any) -> str:
    """A template of this room, filled in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sslbench.testing", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    given = {key: getattr(names, key) for key in ("kind", "name", "label", "package", "module", "title")}
    return environment.get_template(f"{template}.jinja").render(given | more)


def make_folder(folder: Path, files: Mapping[str, str]) -> None:
    """All of the files in a new folder, or nothing at all. Raises UserError."""
    try:
        with TemporaryDirectory(dir=folder.parent, prefix=".sslbench-new-") as scratch:
            made = Path(scratch, folder.name)
            for path, text in files.items():
                target = made / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            made.rename(folder)
    except OSError as error:
        raise UserError(f"{quoted(str(folder))} cannot be made: {error.strerror or error}") from None
