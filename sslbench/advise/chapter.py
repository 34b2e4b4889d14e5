"""What a recipe or a survey found out, as a chapter of a page."""

from __future__ import annotations

import shlex
from dataclasses import replace

from sslbench.advise.kept import read_recipe, read_survey
from sslbench.advise.recipe import Recipe
from sslbench.advise.survey import Survey
from sslbench.advise.text import columns_of, legend_lines, survey_columns
from sslbench.report.charts.shares import RightShare, shares
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Chapter, Code, Drawing, Lines, Part, Section, Table
from sslbench.report.html.sections.first import shortened
from sslbench.report.html.sections.origin import how_it_was_made
from sslbench.report.text import Column, plural
from sslbench.store.found import Found

LONG = 20
"""rows of a table from which on only those who ask for it see it"""


def chapter(folder: Folder) -> Chapter | None:
    """Of the recipe that a folder holds, or of the survey; None without any. Raises DamagedRecord."""
    kept = {found.kind: found for found in folder.found}
    if "recipe" in kept:
        return of_recipe(read_recipe(kept["recipe"].document, where(folder, kept["recipe"])), kept["recipe"])
    if "survey" in kept:
        return of_survey(read_survey(kept["survey"].document, where(folder, kept["survey"])), kept["survey"])
    return None


def where(folder: Folder, found: Found) -> str:
    """The file, for errors."""
    return str(folder.path / found.place)


def elsewhere_of(found: Found) -> str:
    """Where a table is whole that the page has in part."""
    return f"{found.place} in the results folder has all"


def of_recipe(recipe: Recipe, found: Found) -> Chapter:
    """The verdict first, then what speaks for it, the models, and what next."""
    folder = recipe.folder
    source = "a held-out fifth of each class" if folder.held_out else "the folder's own"
    subject = (
        f"{folder.root}: {len(folder.classes)} classes, {folder.train:,} training images, {folder.test:,} to evaluate"
        f" on ({source})"
    )
    notes = [*folder.notes, *filter(None, [recipe.note])]
    sections = [
        Section("next", "What next", [Code(shlex.join(recipe.command))], "The command that follows from it."),
        Section("why", "What speaks for it", [Lines(list(recipe.advice.reasons))]),
        models(recipe, elsewhere_of(found)),
        *([Section("notes", "Before you believe a figure", [Lines(notes)])] if notes else []),
        how_it_was_made(found),
    ]
    sections = [section for section in sections if section.id != "why" or recipe.advice.reasons]
    return Chapter("", f"{folder.root.name}: what to do", [recipe.advice.headline], subject, sections, concludes=True)


def models(recipe: Recipe, elsewhere: str) -> Section:
    """All models, the best first."""
    rows = recipe.rows
    order = sorted(range(len(rows)), key=lambda place: 1.0 if (share := rows[place].linear) is None else -share)
    columns = [
        replace(column, header=column.header.strip(), cells=[column.cells[row].strip() for row in order])
        for column in columns_of(recipe)
    ]
    drawn = [one for place in order if (one := drawn_share(recipe, place)) is not None]
    panel = shares(drawn)
    parts: list[Part] = [Drawing.of(panel)] if panel else []
    parts.append(shortened(Table("Models, the best linear probe first", columns), elsewhere=elsewhere))
    parts.append(Lines(legend_lines(recipe), quiet=True))
    return Section("models", "Models", parts)


def drawn_share(recipe: Recipe, place: int) -> RightShare | None:
    """Of the row at a place; None where nothing was measured."""
    row = recipe.rows[place]
    if row.linear is None:
        return None
    low, high = (row.share.low, row.share.high) if row.share else (None, None)
    return RightShare(row.label, row.linear, low, high, place == recipe.best, row.tie)


def of_survey(survey: Survey, found: Found) -> Chapter:
    """Duplicates, outliers, neighbours."""
    elsewhere = elsewhere_of(found)
    equal, near = len(survey.equal_files), len(survey.near_duplicates)
    pairs = plural(near, "pair") if near else "no pair"
    lead = [
        f"{survey.images:,} images without labels: {plural(equal, 'group') if equal else 'no group'} of equal files,"
        f" {pairs} of near duplicates."
    ]
    if survey.outliers:
        first = survey.outliers[0]
        lead.append(f"Most unlike all others: {first.path}, {first.deviations:+.1f} deviations from the median image.")
    parts: list[Part] = [
        shortened(Table("Models", survey_columns(survey)), elsewhere=elsewhere),
        Lines([f"What follows is by the features of {survey.features_of}."], quiet=True),
    ]
    sections = [Section("models", "Models", parts), *duplicates(survey, elsewhere), *unlike(survey, elsewhere)]
    notes = [*survey.notes, *filter(None, [survey.note])]
    sections += [Section("notes", "Before you believe a figure", [Lines(notes)])] if notes else []
    title = f"{survey.root.name}: without labels"
    return Chapter("", title, lead, str(survey.root), [*sections, how_it_was_made(found)], concludes=True)


def duplicates(survey: Survey, elsewhere: str) -> list[Section]:
    """Equal files and near duplicates."""
    parts: list[Part] = []
    if survey.equal_files:
        groups = [Column("equal files", [" = ".join(group) for group in survey.equal_files])]
        parts.append(shortened(Table("Groups of equal files", groups, prose=True), elsewhere=elsewhere))
    pairs = survey.near_duplicates
    if pairs:
        columns = [
            Column("image", [pair.first for pair in pairs]),
            Column("like", [pair.second for pair in pairs]),
            Column("cosine", [f"{pair.cosine:.3f}" for pair in pairs], number=True),
        ]
        caption = f"Near duplicates, at a whitened cosine of {survey.threshold:g} or more"
        parts.append(shortened(Table(caption, columns), elsewhere=elsewhere))
    return [Section("duplicates", "Duplicates", parts)] if parts else []


def unlike(survey: Survey, elsewhere: str) -> list[Section]:
    """Outliers, and neighbours of some images."""
    far, near = survey.outliers, [(image.path, *pair) for image in survey.neighbours for pair in image.nearest]
    sections = []
    if far:
        columns = [
            Column("image", [image.path for image in far]),
            Column("distance", [f"{image.distance:.3f}" for image in far], number=True),
            Column("deviations", [f"{image.deviations:+.1f}" for image in far], number=True),
        ]
        caption = "Mean distance to the nearest images, and how far above the median"
        table = shortened(Table(caption, columns, folded=len(far) > LONG), elsewhere=elsewhere)
        sections.append(Section("outliers", "Unlike all others", [table]))
    if near:
        columns = [
            Column("image", [path for path, _, _ in near]),
            Column("neighbour", [other for _, other, _ in near]),
            Column("cosine", [f"{cosine:.3f}" for _, _, cosine in near], number=True),
        ]
        table = shortened(Table("Nearest neighbours of some images", columns), elsewhere=elsewhere)
        sections.append(Section("neighbours", "Nearest neighbours", [table]))
    return sections
