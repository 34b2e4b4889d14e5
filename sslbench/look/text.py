"""What was found, as lines for a terminal and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from sslbench.draw.words import drawable, drawable_names
from sslbench.look.data import ClassCount
from sslbench.look.equal import EqualImages
from sslbench.look.files import FileFacts
from sslbench.look.look import Look
from sslbench.report.data_facts import in_words, warnings
from sslbench.report.screen import one_line
from sslbench.report.text import Block, Column, first_names, fitted, plural, terminal_page

CLASSES = 20
"""that a terminal shows; of more, the ten largest and the ten smallest"""
BAR = 30
"""columns of the longest bar"""
NAMED = 5
"""files or groups that are named"""


def as_text(found: Look) -> str:
    """For a terminal."""
    tables = [class_table(found.classes)] if found.classes else []
    title = in_words(found.data, found.facts)
    return terminal_page(title, tables, blocks(found))


def blocks(found: Look) -> list[Block]:
    """What is said below the classes: a heading and its lines, those without a line left out."""
    files = found.files
    every = [
        ("", [*class_lines(found.classes), *warnings(found.data, found.facts), *too_few(found)]),
        ("files", [] if files is None else file_lines(files)),
        ("cannot be read", unreadable_lines(found.unreadable)),
        ("odd", [] if files is None else odd_lines(files)),
        ("equal", equal_lines(found.equal, files.root if files else "")),
        ("deep grey", [white_line(kind, white) for kind, white in found.white.items()]),
        ("shown", [*found.notes, *numbered_names(found.classes)]),
    ]
    return [(heading, lines) for heading, lines in every if lines]


def class_table(classes: Sequence[ClassCount]) -> str:
    """Names, numbers and bars; of many classes the largest and the smallest."""
    ordered = sorted(classes, key=lambda count: -total(count))
    rows = ordered if len(ordered) <= CLASSES else [*ordered[: CLASSES // 2], *ordered[-CLASSES // 2 :]]
    most = max(map(total, rows)) or 1
    columns = [
        Column("class", [one_line(count.name) for count in rows]),
        Column("to train on", [f"{count.train:,}" for count in rows], number=True),
        Column("to evaluate on", [f"{count.test:,}" for count in rows], number=True),
        Column("", ["#" * round(BAR * total(count) / most) for count in rows], rank=1),
    ]
    return fitted(columns)


def class_lines(classes: Sequence[ClassCount]) -> list[str]:
    """What the table does not show, and classes that one split lacks."""
    lines = []
    if len(classes) > CLASSES:
        left = len(classes) - CLASSES
        lines.append(f"{left:,} of {len(classes):,} classes lie between these in size (--format json has all)")
    untested = [one_line(count.name) for count in classes if not count.test]
    if untested:
        lines.append(f"no image to evaluate on of {first_names(untested)}")
    return lines


def numbered_names(classes: Sequence[ClassCount]) -> list[str]:
    """One line where pictures have numbers in the place of names."""
    words = drawable_names([count.name for count in classes], len(classes))
    numbered = [
        f"{word} is {one_line(count.name)}"
        for word, count in zip(words, classes, strict=True)
        if word != drawable(count.name)
    ]
    where = " (--format json has all, in this order)" if len(numbered) > 2 * NAMED else ""
    return [f"names that pictures cannot write: {first_names(numbered, 2 * NAMED)}{where}"] if numbered else []


def total(count: ClassCount) -> int:
    """Images of a class."""
    return count.train + count.test


def file_lines(files: FileFacts) -> list[str]:
    """Formats and channels."""
    some_of = "" if files.headers == files.files else f" (headers of {files.headers:,} were read, evenly spread)"
    return [
        f"{plural(files.files, 'file')} below {one_line(files.root)}{some_of}",
        f"{counted(files.formats)}; {counted(files.channels)}",
    ]


def counted(counts: Any) -> str:
    """``12 PNG, 3 JPEG``."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def too_few(found: Look) -> list[str]:
    """What a run would refuse, and what it could not measure."""
    facts, lines = found.facts, []
    if facts.train_images < 2 or facts.test_images < 1:
        lines.append("run needs at least 2 images to train on and 1 to evaluate on")
    if found.classes and sum(count.train > 0 for count in found.classes) < 2:
        lines.append("there is one class to train on: no accuracy can be measured (images:root=FOLDER needs no labels)")
    return lines


def unreadable_lines(unreadable: Sequence[str]) -> list[str]:
    """Those that are named, and what a run would do."""
    if not unreadable:
        return []
    return [
        *some([one_line(line) for line in unreadable], 2 * NAMED),
        "they are left out here; run stops at them unless the data set is given on_error=skip",
    ]


def odd_lines(files: FileFacts) -> list[str]:
    """A line for each kind."""
    return [
        f"{plural(len(names), 'file')}: {kind} ({first_names([one_line(name) for name in names], NAMED)})"
        for kind, names in files.by_kind.items()
    ]


def equal_lines(groups: Sequence[EqualImages], root: str) -> list[str]:
    """A line for each of the first groups."""
    return some(list(group_lines(groups, root)), NAMED)


def group_lines(groups: Sequence[EqualImages], root: str) -> Iterator[str]:
    """A line for each group."""
    for group in groups:
        named = [one_line(os.path.relpath(path, root)) if root else one_line(path) for path in group.paths if path]
        what = (
            [f"of {first_names(list(map(one_line, sorted(set(group.labels)))), NAMED)}"] if group.contradictory else []
        )
        what += ["some to train on, some to evaluate on"] if group.in_both else []
        words = f" ({'; '.join(what)})" if what else ""
        yield f"{plural(len(group.paths), 'image')}{words}" + (f": {first_names(named, NAMED)}" if named else "")


def some(lines: list[str], most: int) -> list[str]:
    """The first ones, and how many more there are."""
    more = [f"and {len(lines) - most:,} more (--format json has all)"] if len(lines) > most else []
    return lines[:most] + more


def white_line(kind: str, white: float) -> str:
    """``integer: 4095 is white``, one scale for all images."""
    return f"{kind}: {white:g} is white, in every image of this data set"


def as_json(found: Look) -> dict[str, Any]:
    """Everything but the pixels, JSON-able."""
    files = found.files
    return {
        "data": found.data,
        "facts": found.facts.to_json(),
        "classes": [vars(count) for count in found.classes],
        "files": None if files is None else {**vars(files), "odd": [vars(file) for file in files.odd]},
        "unreadable": list(found.unreadable),
        "equal": [vars(group) for group in found.equal],
        "white": found.white,
        "notes": list(found.notes),
        "pictures": [{"name": picture.name, "caption": picture.caption} for picture in found.pictures],
    }
