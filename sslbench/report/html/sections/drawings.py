"""The sections that are charts, each with the table that has their numbers."""

from __future__ import annotations

from collections.abc import Iterable

from sslbench.report.charts import curves, differences, heat_map, quality_against_cost, seeds
from sslbench.report.charts.panel import Panel, what_is_drawn
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Drawing, Lines, Part, Section, Table
from sslbench.report.html.sections.first import names_of, shortened, table
from sslbench.report.legend import of_speeds
from sslbench.report.sections.curves import best_of_curve, curves as curve_section
from sslbench.report.sections.pairs import pairs
from sslbench.report.sections.spread import statistics
from sslbench.report.text import Section as TextSection
from sslbench.report.view import STATUS_RANK, Style, View

MOST_LINES = 200
"""of a table with several lines a recipe"""


def cost(folder: Folder) -> Section | None:
    """Quality against cost, and all speeds."""
    view = folder.view
    speeds = [column for column in view.columns(Style()) if column.rank > STATUS_RANK]
    if all(cell == "-" for column in speeds for cell in column.cells):
        return None
    charts = drawn(view, quality_against_cost.panels(view))
    numbers = shortened(table(view, "Speed and cost", [*first_words(view), *speeds]), MOST_LINES)
    parts: list[Part] = [*charts, numbers, Lines(of_speeds(column.header for column in speeds), quiet=True)]
    intro = (
        "Filled: the best, or not told apart from it. Hollow: told apart. A line through a mark is the 95% interval "
        "over seeds; dashes are recipes without training."
    )
    return Section("cost", "Quality against cost", parts, intro if charts else "")


def cross_product(folder: Folder) -> Section | None:
    """The heat map."""
    parts = drawn(folder.view, heat_map.panels(folder.view))
    intro = "Darker is better, within a column and data set. * is the best, = is not told apart from it."
    return Section("metrics", "Every recipe under every metric", parts, intro) if parts else None


def of_seeds(folder: Folder) -> Section | None:
    """Each seed of each recipe."""
    view = folder.view
    if max((recipe.seeds for recipe in view.aggregate.recipes), default=0) < 2:
        return None
    parts = drawn(view, seeds.panels(view))
    intro = "A dot is a seed, the stroke their mean, the bar the 95% interval of the mean."
    return Section("seeds", "Seeds", [*parts, of_text(view, statistics(view))], intro)


def of_pairs(folder: Folder) -> Section | None:
    """Every recipe against the best."""
    view = folder.view
    section = pairs(view)
    if not section.rows:
        return None
    parts = [*drawn(view, differences.panels(view)), of_text(view, section, "other")]
    intro = (
        "How far each recipe is from the best of its metric, with the 95% interval of the difference. Whether it is"
        " worse or a tie is tested with a correction for all pairs, so that the interval of a tie may leave 0 out."
    )
    return Section("pairs", "Differences from the best", parts, intro)


def of_curves(folder: Folder) -> Section | None:
    """Losses, and what was evaluated while training."""
    view = folder.view
    parts = drawn(view, curves.panels(view))
    section = curve_section(view)
    if section.rows:
        parts += [of_text(view, section), Lines(best_of_curve(view), "Best epochs, chosen on the images evaluated on")]
    intro = "Losses of different methods have no common unit. Thick: mean over seeds; thin: a seed."
    return Section("curves", "Loss and metrics while training", parts, intro) if parts else None


def drawn(view: View, panels: Iterable[Panel]) -> list[Part]:
    """Panels as drawings, and a line that says what they leave out."""
    kinds = tuple(view.names.kept)
    drawings = [Drawing.of(panel, kinds) for panel in panels]
    left_out = what_is_drawn(view)
    return [*drawings, *([Lines(left_out)] if drawings and left_out else [])]


def first_words(view: View) -> list:  # type: ignore[type-arg]
    """The columns that say which recipe a row is."""
    return [column for column in view.columns(Style()) if not column.number and column.rank < STATUS_RANK]


def of_text(view: View, section: TextSection, named: str = "") -> Table:
    """A table of ``sslbench results`` in the page; ``named``: the column that holds the words of a recipe."""
    rows = {view.names.recipe(row): row for row in view.order}
    names = []
    for line in section.rows:
        row = rows.get(str(line[named])) if named else None
        own = {kind: str(line.get(kind) or "-") for kind in view.names.kept} if not named else {}
        names.append(own if row is None else names_of(view, row))
    title = section.title[:1].upper() + section.title[1:]
    return shortened(Table(title, section.columns, names, section.notes, folded=True), MOST_LINES)
