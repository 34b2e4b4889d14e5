"""The pictures that evaluators and pretrainings left, those of the first seed of each recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sslbench.report.aggregate import Recipe
from sslbench.report.charts.map_of_features import data_address, panel_of
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Drawing, Gallery, Image, Lines, Part, Section
from sslbench.report.text import plural
from sslbench.store.digests import DamagedFile
from sslbench.store.pictures import StoredPicture, pictures_of

MOST_BYTES = 7_000_000
"""of pictures in a page, as they are written there"""


@dataclass
class Shown:
    """What is in the page, and how much room is left."""

    room: int
    known: set[bytes] = field(default_factory=set)
    """pictures that recipes share, such as views, are shown once"""
    left_out: int = 0
    damaged: list[str] = field(default_factory=list)

    def takes(self, picture: StoredPicture) -> bool:
        """Whether a picture is new and there is room for it."""
        if picture.png in self.known:
            return False
        self.known.add(picture.png)
        size = sum(len(data_address(png)) for png in pngs_of(picture))
        if size > self.room:
            self.left_out += 1
            return False
        self.room -= size
        return True


def pictures(folder: Folder) -> Section | None:
    """A gallery for each recipe, and maps of features as charts."""
    view, shown = folder.view, Shown(int(MOST_BYTES * folder.share))
    drawings: list[Drawing] = []
    galleries: list[Part] = []
    for row in view.order:
        name = view.names.recipe(row)
        taken = [picture for picture in of_recipe(folder, view.aggregate.recipes[row], shown) if shown.takes(picture)]
        maps = [picture for picture in taken if picture.points]
        drawings += [Drawing.of(panel_of(f"{one.name} of {name}", one.caption, one.points)) for one in maps]
        images = [Image(data_address(one.png), one.caption) for one in taken if not one.points]
        galleries += [Gallery(images, name)] if images else []
    notes = notes_of(shown, max((recipe.seeds for recipe in view.aggregate.recipes), default=0))
    if not drawings and not galleries and not shown.left_out and not shown.damaged:
        return None
    return Section("pictures", "Pictures", [*drawings, *galleries, Lines(notes, quiet=True)])


def of_recipe(folder: Folder, recipe: Recipe, shown: Shown) -> Iterator[StoredPicture]:
    """Those of its first seed of which anything was measured."""
    records = recipe.row.records
    first = min([record.seed for record in records if record.finished] or [record.seed for record in records])
    for record in records:
        if record.seed == first:
            try:
                yield from pictures_of(folder.path, record)
            except DamagedFile as error:
                shown.damaged.append(f"{error}; it is left out")


def pngs_of(picture: StoredPicture) -> list[bytes]:
    """What the page has of it: a map is drawn, and has its thumbnails."""
    return [point.png for point in picture.points] or [picture.png]


def notes_of(shown: Shown, seeds: int) -> list[str]:
    """What is not in the page."""
    others = "those of the first seed of each recipe; sslbench results DIR --pictures OUT writes all"
    lines = [others] if seeds > 1 else []
    if shown.left_out:
        lines.append(f"{plural(shown.left_out, 'picture')} left out: the page would be larger than 10 MB")
    return [*lines, *dict.fromkeys(shown.damaged)]
