"""The page: chapters of sections, and the file that holds them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sslbench.errors import UserError
from sslbench.report.answer import answer
from sslbench.report.charts.drawing import interactive, javascript
from sslbench.report.charts.panel import WIDTH
from sslbench.report.html.folder import Folder, names_of
from sslbench.report.html.model import Chapter, Drawing, Page, Section
from sslbench.report.html.sections.between import between
from sslbench.report.html.sections.doubts import data, doubts, licences, settings
from sslbench.report.html.sections.drawings import cost, cross_product, of_curves, of_pairs, of_seeds
from sslbench.report.html.sections.first import first_table
from sslbench.report.html.sections.origin import provenance, records
from sslbench.report.html.sections.pictures import pictures
from sslbench.store.atomic import write_atomically
from sslbench.store.json_parts import DamagedRecord
from sslbench.store.results import ResultsStore, why_no_results

SectionOf = Callable[[Folder], Section | None]
SECTIONS: tuple[SectionOf, ...] = (
    first_table, cost, cross_product, of_seeds, of_pairs, of_curves, pictures, doubts, data, settings, licences,
    provenance, records,
)  # fmt: skip
"""from top to bottom"""
OF_ALL: tuple[SectionOf, ...] = (doubts, provenance, records)
"""of folders without runs: those that are of whatever a results file holds"""
ALONE = (of_seeds, of_curves)
"""those that only the page of one folder of runs has"""
NOT_HERE = "Seeds and curves are in the page of one folder: sslbench report DIR."
ChapterOf = Callable[[Folder], Chapter | None]
"""what a folder holds of another kind than runs; None where there is nothing"""
FILE = "report.html"


def write_report(folders: Sequence[Path], path: Path, kinds: Sequence[ChapterOf] = ()) -> list[Folder]:
    """Write one page of these results folders; returns what it was made of. ``kinds``: what else than runs a folder may
    hold. Raises UserError for a folder without results or given twice, and for a path that cannot be written."""
    places = [folder.resolve() for folder in folders]
    for number, folder in enumerate(folders):
        if places[number] in places[:number]:
            raise UserError(f"{folder} is given twice")
    share, names = 1 / len(folders), names_of(folders)
    read = [Folder.read(folder, share, name) for folder, name in zip(folders, names, strict=True)]
    for one in read:
        if not (ResultsStore.exists(one.path) or one.found or one.damaged):
            raise UserError(why_no_results(one.path))
    check_target(path)
    text = html(page_of(read, kinds))
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return read


def check_target(path: Path) -> None:
    """Raises UserError for what is no path of a page."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {path}: a report is an HTML file: its name ends in .html")
    if path.is_dir():
        raise UserError(f"-o {path}: is a folder; name a file in it, such as {path / FILE}")
    if not path.parent.is_dir():
        raise UserError(f"-o {path}: there is no folder {path.parent}")


def page_of(folders: Sequence[Folder], kinds: Sequence[ChapterOf] = ()) -> Page:
    """Its chapters, those of each folder after one another, and what the page can be filtered by."""
    several = len([folder for folder in folders if folder.cells]) > 1
    made = [addressed(chapters_of(folder, kinds, several), f"r{n}") for n, folder in enumerate(folders, 1)]
    chapters = [chapter for of_folder in made for chapter in of_folder]
    compared = [between(folders[0], other) for other in folders[1:] if comparable(folders[0], other)]
    if compared:
        sections = [numbered(section, f"c{number}") for number, section in enumerate(compared, 1)]
        chapters = [Chapter("c", "Compared", [], NOT_HERE if several else "", sections), *chapters]
    filters: dict[str, dict[str, None]] = {}
    recipes: dict[str, None] = {}
    for view in (folder.view for folder in folders if folder.cells):
        recipes |= {view.names.recipe(row): None for row in view.order}
        for kind in view.names.kept:
            filters.setdefault(kind, {}).update({view.names.of_kind[kind][row] or "-": None for row in view.order})
    names = [folder.name for folder in folders] if len(folders) > 1 else [folders[0].suite or folders[0].name]
    names = [chapters[0].title] if len(folders) == 1 and chapters[0].concludes else names
    title = ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]
    kept = {kind: list(names) for kind, names in filters.items() if len(names) > 1}
    return Page(title, chapters, kept, list(recipes) if len(recipes) > 1 else [])


def comparable(first: Folder, second: Folder) -> bool:
    """Whether both hold records of one kind."""
    return bool({record.kind for record in first.records} & {record.kind for record in second.records})


def chapters_of(folder: Folder, kinds: Sequence[ChapterOf], several: bool) -> list[Chapter]:
    """Of one folder: its runs, and what else it holds."""
    found, damaged = [], []
    for of_kind in kinds:
        try:
            found.append(of_kind(folder))
        except DamagedRecord as error:
            damaged.append(str(error))
    folder, chapters = replace(folder, damaged=[*folder.damaged, *damaged]), [one for one in found if one is not None]
    if folder.cells or not chapters:
        first = [one for one in chapters if one.concludes]
        return [*first, chapter_of(folder, several), *(one for one in chapters if not one.concludes)]
    makers = OF_ALL if folder.records else (doubts,)
    more = [section for make in makers if (section := make(folder)) is not None]
    return [replace(chapters[0], sections=[*chapters[0].sections, *more]), *chapters[1:]]


def addressed(chapters: Sequence[Chapter], name: str) -> list[Chapter]:
    """With addresses in the page, their own and of all that is in them."""
    ids = [name, *(f"{name}-{number}" for number in range(2, len(chapters) + 1))]
    return [
        replace(one, id=own, sections=[numbered(section, own) for section in one.sections])
        for one, own in zip(chapters, ids, strict=False)
    ]


def chapter_of(folder: Folder, several: bool) -> Chapter:
    """The runs of one folder, alone or beside others."""
    makers = [make for make in SECTIONS if not (several and make in ALONE)]
    sections = [section for make in makers if (section := make(folder)) is not None]
    view = folder.view
    title = f"{folder.name}: {folder.suite}" if folder.suite else folder.name
    return Chapter("", title, answer(view), view.names.title(""), sections)


def numbered(section: Section, chapter: str) -> Section:
    """With addresses of its own, and of its drawings."""
    own = f"{chapter}-{section.id}"
    parts = [
        replace(part, id=f"{own}-{number}") if isinstance(part, Drawing) else part
        for number, part in enumerate(section.parts, 1)
    ]
    return replace(section, id=own, parts=parts)


def html(page: Page) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    specs = {
        drawing.id: interactive(drawing.spec, kinds_of(drawing, page), bool(page.recipes)) for drawing in drawings(page)
    }
    template = environment.get_template("page.html.jinja")
    return template.render(
        page=page, specs=as_script(specs), library=javascript(), single=len(page.chapters) == 1, small=small
    )


def drawings(page: Page) -> Iterator[Drawing]:
    """All of them, from top to bottom."""
    for section in (section for chapter in page.chapters for section in chapter.sections):
        yield from (part for part in section.parts if isinstance(part, Drawing))


def kinds_of(drawing: Drawing, page: Page) -> list[str]:
    """Of plugins, by which it is filtered."""
    return [kind for kind in drawing.kinds if kind in page.filters]


def small(drawings: Sequence[Drawing]) -> bool:
    """Whether three of them have room side by side."""
    return all(drawing.width < WIDTH for drawing in drawings)


def as_script(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it ends the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
